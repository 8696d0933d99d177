//! Engine.IO v4 (`docs/engine.io-protocol/v4-current.md` of socketio/socket.io): packets and polling payloads.
