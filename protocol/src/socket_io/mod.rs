//! Socket.IO v5 (`docs/socket.io-protocol/v5-current.md` of socketio/socket.io): packets with attachments.
