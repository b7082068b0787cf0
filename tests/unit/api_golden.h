/* Files of replies and their dumps; shared by the tests of the formats, which
 * define FORMAT and FOLDER before. Comes behind <cmocka.h>. */
#pragma once

#include <dirent.h>
#include <errno.h>

#include "api_dump.h"

static struct buf file_read(const char *name)
{
    char path[512], chunk[4096];
    struct buf text = BUF_INIT(16 * 1024 * 1024);
    snprintf(path, sizeof(path), "%s/%s", FOLDER, name);
    FILE *file = fopen(path, "rb");
    if (!file)
        fail_msg("%s: %s", path, strerror(errno));
    for (size_t n; (n = fread(chunk, 1, sizeof(chunk), file)) > 0;)
        assert_int_equal(buf_add(&text, chunk, n), 0);
    fclose(file);
    return text;
}

static void same_in_pieces(const char *name, struct bytes text, const char *expect)
{
    struct buf out = BUF_INIT(1024 * 1024);
    for (unsigned seed = 0; seed < 40; seed++) {
        buf_reset(&out);
        size_t piece = seed == 0 ? 1 : seed < 4 ? seed + 1 : 1u << (seed % 11 + 1);
        if (read_pieces(text, piece, seed < 4 ? 0 : seed, &out) != 0 || strcmp(buf_str(&out), expect) != 0)
            fail_msg("%s, seed %u: in pieces of %zu:\n%s", name, seed, piece, buf_str(&out));
    }
    buf_done(&out);
}

static int dump_file(const char *path)
{
    char chunk[4096];
    struct api_doc doc;
    struct buf out = BUF_INIT(1024 * 1024);
    FILE *file = fopen(path, "rb");
    struct api_reader *reader = FORMAT.reader_new(&dumpers, &out);
    if (!file || !reader)
        return 1;
    for (size_t n; (n = fread(chunk, 1, sizeof(chunk), file)) > 0;)
        FORMAT.reader_feed(reader, chunk, n);
    int r = FORMAT.reader_end(reader, &doc);
    if (r == 0)
        dump_doc(&doc, &out);
    printf("%s", r < 0 ? strerror(-r) : buf_str(&out));
    FORMAT.reader_free(reader);
    buf_done(&out);
    fclose(file);
    return r < 0;
}
