-- Of the default brand: how all documents of the organization are cut into passages; NULL: as the server is set to.
ALTER TABLE brand ADD COLUMN passage_words INTEGER;
ALTER TABLE brand ADD COLUMN passage_overlap INTEGER;

-- How the version that is searched was cut; NULL: as the server is set to.
ALTER TABLE source ADD COLUMN passage_words INTEGER;
ALTER TABLE source ADD COLUMN passage_overlap INTEGER;
