-- Conversations that somebody else has put into the documented tables: which set of users each is (the digest as the server makes it: the ids
-- in the order of their bytes, as a JSON array), and where its messages stand. Of two with the same users the older one is gone on with.
INSERT INTO chatwright.conversation (id, participants, sequence)
SELECT DISTINCT ON (participants) id, participants, sequence
FROM (
    SELECT
        c."id" AS id,
        c."createdAt" AS made,
        (
            SELECT encode(sha256(convert_to('[' || string_agg(to_json(p."userId")::text, ',' ORDER BY p."userId" COLLATE "C") || ']', 'UTF8')), 'hex')
            FROM "Participant" p WHERE p."conversationId" = c."id"
        ) AS participants,
        (SELECT count(*) FROM "Message" m WHERE m."conversationId" = c."id") AS sequence
    FROM "Conversation" c
) AS found
WHERE participants IS NOT NULL
ORDER BY participants, made, id
ON CONFLICT DO NOTHING;

INSERT INTO chatwright.position (message, conversation, sequence)
SELECT m."id", m."conversationId", row_number() OVER (PARTITION BY m."conversationId" ORDER BY m."createdAt", m."id")
FROM "Message" m JOIN chatwright.conversation c ON c.id = m."conversationId"
WHERE NOT EXISTS (SELECT FROM chatwright.position p WHERE p.conversation = m."conversationId")
ON CONFLICT DO NOTHING;
