-- Contacts that are one person, and how they come to be known as one (src/conversation/person.h).

-- What may be equal on two channels: 'phone:<digits>' or 'email:<address>'; NULL: nothing.
ALTER TABLE identity ADD COLUMN match_key TEXT;
UPDATE identity SET match_key = (SELECT CASE
        WHEN c.source IN ('whatsapp_business', 'twilio_whatsapp', 'twilio_sms')
            AND replace(replace(external_user_id, 'whatsapp:', ''), '+', '') NOT GLOB '*[^0-9]*'
            AND length(replace(replace(external_user_id, 'whatsapp:', ''), '+', '')) BETWEEN 7 AND 15
        THEN 'phone:' || replace(replace(external_user_id, 'whatsapp:', ''), '+', '')
        WHEN c.source = 'email' THEN 'email:' || lower(external_user_id) END
    FROM channel c WHERE c.id = identity.channel_id);
CREATE INDEX identity_by_contact ON identity (contact_id, channel_id);
CREATE INDEX identity_by_match ON identity (match_key, contact_id) WHERE match_key IS NOT NULL;

-- Contacts keep their own identities and history: they are linked by a name above them, and apart again
-- when that is taken away.
CREATE TABLE contact_link (
    organization_id TEXT NOT NULL,
    contact_id      TEXT NOT NULL,
    person_id       TEXT NOT NULL,               -- the same for all who are one person
    linked_by       TEXT NOT NULL,               -- code | link | staff
    created_at      INTEGER NOT NULL,
    PRIMARY KEY (contact_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX contact_link_by_person ON contact_link (person_id, contact_id);

-- Codes and one-time links under way. Only their hashes are kept.
CREATE TABLE link_code (
    organization_id TEXT NOT NULL,
    hash            TEXT NOT NULL,               -- SHA-256, hexadecimal
    kind            TEXT NOT NULL,               -- code | link
    contact_id      TEXT NOT NULL,               -- who whoever shows it is
    channel_id      TEXT NOT NULL,               -- of a link: the web chat that it opens; '' of a code
    expires_at      INTEGER NOT NULL,
    PRIMARY KEY (hash)
) STRICT, WITHOUT ROWID;

-- Suggestions that a person of the team refused: contact_id is the lesser id.
CREATE TABLE link_dismissed (
    organization_id TEXT NOT NULL,
    contact_id      TEXT NOT NULL,
    other_id        TEXT NOT NULL,
    created_at      INTEGER NOT NULL,
    PRIMARY KEY (contact_id, other_id, organization_id)
) STRICT, WITHOUT ROWID;
