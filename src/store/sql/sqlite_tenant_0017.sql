-- Where the passage goes on to another page: "bytes-from-start_char:page" with spaces between.
ALTER TABLE chunk ADD COLUMN page_starts TEXT NOT NULL DEFAULT '';
