-- Places on the web whose pages are documents (src/knowledge/site.h). A site is also a row of source,
-- of kind 'site' and without versions: its pages' parent, which says whose they are and for whom.

CREATE TABLE site (
    organization_id TEXT NOT NULL,
    id              TEXT NOT NULL,               -- of its source
    kind            TEXT NOT NULL,               -- page | sitemap: what the address is of
    url             TEXT NOT NULL,
    depth           INTEGER NOT NULL,            -- links that are followed from a page, one after another
    max_pages       INTEGER NOT NULL,
    hosts           TEXT NOT NULL,               -- further ones that may be called, parted by spaces
    recrawl_hours   INTEGER NOT NULL,            -- 0: only when asked
    round           INTEGER NOT NULL,            -- of looking at all pages, from 1
    status          TEXT NOT NULL,               -- of the newest round: running | done | failed
    error           TEXT,                        -- of failed
    started_at      INTEGER NOT NULL,
    finished_at     INTEGER,
    PRIMARY KEY (id, organization_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE site_page (
    organization_id TEXT NOT NULL,
    site_id         TEXT NOT NULL,
    url             TEXT NOT NULL,
    kind            TEXT NOT NULL,               -- page | sitemap
    round           INTEGER NOT NULL,            -- in which it was found last
    ordinal         INTEGER NOT NULL,            -- within that round
    depth           INTEGER NOT NULL,            -- links, or sitemaps, from the site's address
    hops            INTEGER NOT NULL,            -- redirects that led here, one after another
    status          TEXT NOT NULL,               -- pending | done | unchanged | moved | skipped | gone | failed
    reason          TEXT,                        -- of the last four: a sentence
    source_id       TEXT,                        -- its document; NULL: none
    etag            TEXT NOT NULL DEFAULT '',
    last_modified   TEXT NOT NULL DEFAULT '',
    fetched_at      INTEGER,
    PRIMARY KEY (site_id, url, organization_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX site_page_by_round ON site_page (site_id, round, ordinal);
