// Rooms on ws, and nothing else.
import { WebSocketServer } from "ws";

const rooms = new Map();
const server = new WebSocketServer({ port: Number(process.argv[2]), host: "127.0.0.1", backlog: 4096, perMessageDeflate: false });
server.on("connection", (socket) => {
  const joined = [];
  socket.on("message", (text) => {
    const { type, roomId, userId, message } = JSON.parse(text);
    if (type === "join_room") {
      if (!rooms.has(roomId)) rooms.set(roomId, new Set());
      rooms.get(roomId).add(socket);
      joined.push(roomId);
      socket.send(JSON.stringify({ type: "joined", roomId }));
    } else if (type === "send_message") {
      const data = { roomId, userId, username: userId, message, timestamp: Date.now(), messageId: crypto.randomUUID(), messageType: "text" };
      const frame = Buffer.from(JSON.stringify({ type: "new_message", data }));
      for (const member of rooms.get(roomId) ?? []) member.send(frame, { binary: false });
    }
  });
  socket.on("error", () => {});
  socket.on("close", () => joined.forEach((roomId) => rooms.get(roomId).delete(socket)));
});
