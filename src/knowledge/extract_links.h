/*
 * extract_links.h - what a page or a sitemap names, as a document of its own; helper and server
 * agree
 *
 * Of HTML: a heading of LINKS_LEVEL_ROBOTS with LINKS_ROBOTS and the page's wishes for robots,
 * always first; one of LINKS_LEVEL_BASE with the base address, if it has one; then a paragraph a
 * link, as it stands in the page, those left out that say rel=nofollow. Of a sitemap (XML of
 * sitemaps.org, lines of text, either with gzip): a heading of LINKS_LEVEL_FIRST; then a paragraph
 * an address of a page, a heading of LINKS_LEVEL_SITEMAP one of another sitemap.
 */
#ifndef PARLEY_KNOWLEDGE_EXTRACT_LINKS_H
#define PARLEY_KNOWLEDGE_EXTRACT_LINKS_H

#define LINKS_OF_HTML "application/vnd.parley.links+html"
#define LINKS_OF_SITEMAP "application/vnd.parley.links+sitemap"
#define LINKS_ROBOTS "robots:"
#define LINKS_LEVEL_ROBOTS 1
#define LINKS_LEVEL_BASE 2
#define LINKS_LEVEL_FIRST 1
#define LINKS_LEVEL_SITEMAP 3
/* Of one page or sitemap: the limit of sitemaps.org. */
#define LINKS_MAX 50000

#endif
