-- Where a passage begins in a document that has pages.
ALTER TABLE chunk ADD COLUMN page INTEGER; -- from 1; NULL: it has none
