/* XML as a format of the wire: a push reader on libxml2's SAX interface. No tree
 * is built, so memory does not grow with a list; no DTD, no entities but the
 * five of XML itself, no network, and UTF-8 whatever the declaration says. */
#include <errno.h>
#include <libxml/parser.h>
#include <stdlib.h>
#include <string.h>

#include "codec/api.h"
#include "codec/api_xml_read.h"
#include "codec/api_xml_write.h"

#define PIECE ((size_t)16 * 1024)       /* for the parser at a time, so that an error ends the work soon */
#define PENDING_MAX ((size_t)96 * 1024) /* most bytes that the parser may hold before it says something */
/* libxml2 takes time in the square of these; no real answer has a tenth of them. */
#define ATTRIBUTES_MAX 64 /* and namespaces of one element */
#define NAMES_MAX 4096    /* different names in one document */

#if LIBXML_VERSION >= 21200
#define PROBLEM const xmlError *
#else
#define PROBLEM xmlErrorPtr
#endif

struct api_reader {
    struct api_xml_reading reading;
    struct api_xml_names names;
    xmlParserCtxtPtr parser; /* made with the first byte that is not blank: many answers (204) have none */
    size_t lead;             /* bytes seen before it */
    unsigned bom;            /* of them, bytes of a byte order mark */
    size_t pending;          /* bytes fed since the parser last called */
    bool used;               /* the parser has been fed */
    bool ended;
};

/* ---- what the parser calls ---- */

static void on_start(void *data, const xmlChar *local, const xmlChar *prefix, const xmlChar *uri,
                     int n_namespaces, const xmlChar **namespaces, int n_attributes, int n_defaulted,
                     const xmlChar **attributes)
{
    struct api_reader *r = data;
    (void)prefix, (void)namespaces, (void)n_defaulted;
    r->pending = 0;
    if (n_attributes > ATTRIBUTES_MAX || n_namespaces > ATTRIBUTES_MAX) {
        api_xml_reading_fail(&r->reading, -EBADMSG);
        xmlStopParser(r->parser);
        return;
    }
    struct api_xml_attrs attrs = {attributes, n_attributes};
    enum api_xml_name name = api_xml_names_find(&r->names, (const char *)local, (const char *)uri);
    api_xml_reading_start(&r->reading, (const char *)local, name, &attrs);
}

static void on_end(void *data, const xmlChar *local, const xmlChar *prefix, const xmlChar *uri)
{
    struct api_reader *r = data;
    (void)local, (void)prefix, (void)uri;
    r->pending = 0;
    api_xml_reading_end(&r->reading);
}

static void on_text(void *data, const xmlChar *text, int len)
{
    struct api_reader *r = data;
    r->pending = 0;
    api_xml_reading_text(&r->reading, (const char *)text, (size_t)len);
}

/* Any document type ends the reading: no reply has one, and entities hide in it. */
static void on_doctype(void *data, const xmlChar *name, const xmlChar *external, const xmlChar *system)
{
    struct api_reader *r = data;
    (void)name, (void)external, (void)system;
    api_xml_reading_fail(&r->reading, -EBADMSG);
    xmlStopParser(r->parser);
}

static void on_problem(void *data, PROBLEM error)
{
    (void)data, (void)error; /* seen after the call; here only kept from being printed */
}

/* ---- the reader ---- */

static struct api_reader *reader_free(struct api_reader *r)
{
    if (!r)
        return NULL;
    if (r->parser)
        xmlFreeParserCtxt(r->parser);
    api_xml_reading_done(&r->reading);
    free(r);
    return NULL;
}

static struct api_reader *reader_new(const struct api_handlers *handlers, void *data)
{
    struct api_reader *r = calloc(1, sizeof(*r));
    if (r)
        api_xml_reading_init(&r->reading, handlers, data);
    return r;
}

static int parser_make(struct api_reader *r)
{
    xmlSAXHandler sax = {.initialized = XML_SAX2_MAGIC,
                         .startElementNs = on_start,
                         .endElementNs = on_end,
                         .characters = on_text,
                         .cdataBlock = on_text,
                         .internalSubset = on_doctype,
                         .serror = on_problem};
    r->parser = xmlCreatePushParserCtxt(&sax, r, NULL, 0, NULL);
    if (!r->parser)
        return -ENOMEM;
    xmlCtxtUseOptions(r->parser,
                      XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_IGNORE_ENC);
    return 0;
}

/* The parser keeps its memory and its names, which are the same in every reply. */
static int reader_again(struct api_reader *r, void *data)
{
    if (r->used && xmlCtxtResetPush(r->parser, NULL, 0, NULL, NULL) != 0)
        return -ENOMEM;
    api_xml_reading_again(&r->reading, data);
    r->lead = r->pending = 0;
    r->bom = 0;
    r->used = r->ended = false;
    return 0;
}

/* Feeds the parser once and tells what it thinks. */
static int parser_feed(struct api_reader *r, const char *data, size_t len, bool last)
{
    xmlParseChunk(r->parser, data, (int)len, last);
    if (r->parser->errNo == XML_ERR_NO_MEMORY)
        return api_xml_reading_fail(&r->reading, -ENOMEM);
    if (!r->parser->wellFormed || !r->parser->nsWellFormed || xmlDictSize(r->parser->dict) > NAMES_MAX)
        return api_xml_reading_fail(&r->reading, -EBADMSG);
    return r->reading.error;
}

/* Passes over a byte order mark and blanks; returns how many bytes it took. What
 * follows must be a tag, and everything else (JSON, UTF-16) ends here. */
static size_t lead_skip(struct api_reader *r, const char *data, size_t len)
{
    static const unsigned char bom[] = {0xef, 0xbb, 0xbf};
    for (size_t i = 0; i < len; i++, r->lead++) {
        bool in_bom = r->bom > 0 && r->bom < sizeof(bom);
        if ((in_bom || r->lead == 0) && (unsigned char)data[i] == bom[r->bom]) {
            r->bom++;
        } else if (in_bom || !strchr(" \t\r\n<", data[i]) || data[i] == '\0') {
            api_xml_reading_fail(&r->reading, -EBADMSG);
            return i;
        } else if (data[i] == '<') {
            api_xml_reading_fail(&r->reading, r->parser ? 0 : parser_make(r));
            r->used = true;
            return i;
        }
    }
    return len;
}

static int reader_feed(struct api_reader *r, const char *data, size_t len)
{
    if (r->ended && len)
        api_xml_reading_fail(&r->reading, -EBADMSG);
    if (!r->reading.error && !r->used) {
        size_t skip = lead_skip(r, data, len);
        data += skip;
        len -= skip;
    }
    while (!r->reading.error && len) {
        size_t n = len < PIECE ? len : PIECE;
        r->pending += n;
        /* NUL is no character of XML, and without it nothing can pass as UTF-16 */
        if (r->pending > PENDING_MAX || memchr(data, '\0', n))
            return api_xml_reading_fail(&r->reading, -EBADMSG);
        parser_feed(r, data, n, false);
        data += n;
        len -= n;
    }
    return r->reading.error;
}

static int reader_end(struct api_reader *r, struct api_doc *ret)
{
    bool cut = r->bom > 0 && r->bom < 3;
    if (!r->reading.error && !r->ended && r->used)
        cut = parser_feed(r, NULL, 0, true) == 0 &&
              (r->reading.depth > 0 || r->reading.doc.kind == API_DOC_EMPTY);
    if (cut)
        api_xml_reading_fail(&r->reading, -EBADMSG);
    r->ended = true;
    if (r->reading.error)
        return r->reading.error;
    *ret = api_xml_reading_doc(&r->reading);
    return 0;
}

const struct api_format api_xml = {.name = "xml",
                                   .media_type = "application/xml",
                                   .encode_clone = api_xml_encode_clone,
                                   .reader_new = reader_new,
                                   .reader_again = reader_again,
                                   .reader_feed = reader_feed,
                                   .reader_end = reader_end,
                                   .reader_free = reader_free};
