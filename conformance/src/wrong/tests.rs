//! Wrong servers over real sockets.
