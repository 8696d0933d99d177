// Rooms on the official Socket.IO server, and nothing else.
import { createServer } from "node:http";
import { Server } from "socket.io";

const server = createServer();
const io = new Server(server, { serveClient: false });
io.on("connection", (socket) => {
  socket.on("join_room", ({ roomId }) => {
    socket.join(roomId);
    socket.emit("message_history", []);
  });
  socket.on("send_message", ({ roomId, userId, message }) => {
    const timestamp = Date.now();
    io.to(roomId).emit("new_message", { roomId, userId, username: userId, message, timestamp, messageId: crypto.randomUUID(), messageType: "text" });
  });
});
server.listen({ port: Number(process.argv[2]), host: "127.0.0.1", backlog: 4096 });
