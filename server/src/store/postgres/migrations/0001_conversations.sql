-- The tables of the document (001_66541cd422f9770e.txt), with the names and defaults that Prisma gives them; a database that Prisma made
-- has them already. What is ours beside them is in a schema of its own.
CREATE TABLE IF NOT EXISTS "Conversation" (
    "id" TEXT NOT NULL,
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMP(3) NOT NULL,
    "lastMessageAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT "Conversation_pkey" PRIMARY KEY ("id")
);

CREATE TABLE IF NOT EXISTS "Participant" (
    "id" TEXT NOT NULL,
    "userId" TEXT NOT NULL,
    "conversationId" TEXT NOT NULL,
    "joinedAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "lastReadAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT "Participant_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "Participant_conversationId_fkey" FOREIGN KEY ("conversationId") REFERENCES "Conversation"("id")
        ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE UNIQUE INDEX IF NOT EXISTS "Participant_userId_conversationId_key" ON "Participant"("userId", "conversationId");
CREATE INDEX IF NOT EXISTS "Participant_userId_idx" ON "Participant"("userId");

CREATE TABLE IF NOT EXISTS "Message" (
    "id" TEXT NOT NULL,
    "conversationId" TEXT NOT NULL,
    "senderId" TEXT NOT NULL,
    "content" TEXT NOT NULL,
    "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT "Message_pkey" PRIMARY KEY ("id"),
    CONSTRAINT "Message_conversationId_fkey" FOREIGN KEY ("conversationId") REFERENCES "Conversation"("id")
        ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE INDEX IF NOT EXISTS "Message_conversationId_createdAt_idx" ON "Message"("conversationId", "createdAt");

-- What a conversation needs beside its row: which set of users it is (a digest: the ids together may be longer than an index allows), and
-- where it stands. Whoever locks this row is the one who sends.
CREATE TABLE chatwright.conversation (
    id TEXT PRIMARY KEY REFERENCES "Conversation"("id") ON DELETE CASCADE ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED,
    participants TEXT NOT NULL UNIQUE,
    sequence BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE chatwright.position (
    message TEXT PRIMARY KEY REFERENCES "Message"("id") ON DELETE CASCADE ON UPDATE CASCADE,
    conversation TEXT NOT NULL,
    sequence BIGINT NOT NULL,
    UNIQUE (conversation, sequence)
);

-- Events that other services have not learned of. Not bound to the message: what is deleted was sent all the same.
CREATE TABLE chatwright.outbox (
    place BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    dedupe_id UUID NOT NULL UNIQUE,
    message TEXT NOT NULL,
    conversation TEXT NOT NULL,
    sender TEXT NOT NULL,
    recipients TEXT[] NOT NULL,
    content TEXT NOT NULL,
    sent_at_ms BIGINT NOT NULL
);

-- Which instance empties the outbox, and until when the others leave it alone.
CREATE TABLE chatwright.lease (
    name TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    until TIMESTAMPTZ NOT NULL
);
