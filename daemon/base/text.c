#include "base/text.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

size_t text_utf8_next(const char *data, size_t len, uint32_t *ret_code)
{
    const unsigned char *p = (const unsigned char *)data;
    uint32_t code, least;
    size_t n;
    if (p[0] < 0x80) {
        *ret_code = p[0];
        return 1;
    }
    if ((p[0] & 0xe0) == 0xc0)
        n = 2, code = p[0] & 0x1fu, least = 0x80;
    else if ((p[0] & 0xf0) == 0xe0)
        n = 3, code = p[0] & 0x0fu, least = 0x800;
    else if ((p[0] & 0xf8) == 0xf0)
        n = 4, code = p[0] & 0x07u, least = 0x10000;
    else
        return 0;
    if (n > len)
        return 0;
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (p[i] & 0x3fu);
    }
    if (code < least || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        return 0;
    *ret_code = code;
    return n;
}

bool text_utf8_valid(const char *data, size_t len)
{
    uint32_t code;
    for (size_t i = 0, n; i < len; i += n) {
        n = text_utf8_next(data + i, len - i, &code);
        if (n == 0)
            return false;
    }
    return true;
}

/* Bytes at the beginning that are plain ASCII without control characters, as nearly all are. */
static size_t plain_len(const char *str)
{
    size_t n = 0;
    while (str[n] >= ' ' && str[n] < 0x7f)
        n++;
    return n;
}

bool text_xml_valid(const char *str)
{
    size_t plain = plain_len(str), len = plain + strlen(str + plain);
    uint32_t code;
    for (size_t i = plain, n; i < len; i += n) {
        n = text_utf8_next(str + i, len - i, &code);
        if (n == 0 || code == 0xfffe || code == 0xffff)
            return false;
        if (code < 0x20 && code != '\t' && code != '\n' && code != '\r')
            return false;
    }
    return true;
}

size_t text_utf16_len(const char *str)
{
    size_t units = 0;
    for (const unsigned char *p = (const unsigned char *)str; *p; p++)
        units += (*p & 0xc0) != 0x80 ? (*p >= 0xf0 ? 2u : 1u) : 0u;
    return units;
}

size_t text_utf16_prefix(const char *str, size_t units)
{
    size_t len = strlen(str), i = 0, used = 0;
    uint32_t code;
    while (i < len) {
        size_t n = text_utf8_next(str + i, len - i, &code);
        size_t cost = code >= 0x10000 ? 2 : 1;
        if (n == 0 || used + cost > units)
            break;
        used += cost;
        i += n;
    }
    return i;
}

bool text_has_control(const char *str)
{
    size_t plain = plain_len(str), len = plain + strlen(str + plain);
    uint32_t code;
    for (size_t i = plain, n; i < len; i += n) {
        n = text_utf8_next(str + i, len - i, &code);
        if (n == 0 || code < 0x20 || (code >= 0x7f && code < 0xa0))
            return true;
    }
    return false;
}

void text_escape(struct buf *buf, const char *str)
{
    size_t len = strlen(str);
    uint32_t code;
    for (size_t i = 0, n; i < len; i += n) {
        n = text_utf8_next(str + i, len - i, &code);
        if (n == 0) {
            n = 1;
            code = (unsigned char)str[i];
            buf_printf(buf, "\\x%02x", code);
        } else if (code == '\n') {
            buf_add_str(buf, "\\n");
        } else if (code == '\t') {
            buf_add_str(buf, "\\t");
        } else if (code < 0x20 || (code >= 0x7f && code < 0xa0)) {
            buf_printf(buf, "\\x%02x", code);
        } else {
            buf_add(buf, str + i, n);
        }
    }
}

static bool same_letter(char a, char b)
{
    char lower_a = a >= 'A' && a <= 'Z' ? (char)(a + 32) : a,
         lower_b = b >= 'A' && b <= 'Z' ? (char)(b + 32) : b;
    return lower_a == lower_b;
}

/* Levenshtein distance on bytes, letter case ignored; SIZE_MAX where it is surely over `limit`, and for long
 * words, which are not near anything. */
static size_t text_distance(const char *a, const char *b, size_t limit)
{
    size_t row[65], la = strlen(a), lb = strlen(b);
    if (la >= 64 || lb >= 64 || la > lb + limit || lb > la + limit)
        return SIZE_MAX;
    for (size_t j = 0; j <= lb; j++)
        row[j] = j;
    for (size_t i = 1; i <= la; i++) {
        size_t diagonal = row[0], least = i;
        row[0] = i;
        for (size_t j = 1; j <= lb; j++) {
            size_t above = row[j];
            size_t change = diagonal + !same_letter(a[i - 1], b[j - 1]);
            size_t gap = (above < row[j - 1] ? above : row[j - 1]) + 1;
            row[j] = change < gap ? change : gap;
            least = row[j] < least ? row[j] : least;
            diagonal = above;
        }
        if (least > limit) /* it only grows */
            return SIZE_MAX;
    }
    return row[lb];
}

const char *text_nearest(const char *word, const char *const *candidates, size_t n)
{
    size_t limit = strlen(word) / 3 ? strlen(word) / 3 : 1;
    const char *best = NULL;
    for (size_t i = 0; i < n; i++) {
        size_t distance = text_distance(word, candidates[i], limit);
        if (distance <= limit && strcmp(word, candidates[i]) != 0) {
            if (distance == 0)
                return candidates[i];
            best = candidates[i];
            limit = distance - 1;
        }
    }
    return best;
}

char *text_file_name(const char *name)
{
    struct buf buf = BUF_INIT(4096);
    size_t len = strlen(name);
    uint32_t code;
    for (size_t i = 0, n; i < len; i += n) {
        n = text_utf8_next(name + i, len - i, &code);
        if (n == 0)
            n = 1, code = 0;
        int bad = code < 0x20 || (code >= 0x7f && code < 0xa0) ||
                  (code < 0x80 && strchr("\\/:*?\"<>|()", (int)code) != NULL);
        if ((bad ? buf_add_char(&buf, '_') : buf_add(&buf, name + i, n)) < 0) {
            buf_done(&buf);
            return NULL;
        }
    }
    while (buf.len && (buf.data[buf.len - 1] == '.' || buf.data[buf.len - 1] == ' '))
        buf.data[--buf.len] = '\0';
    return buf_take(&buf);
}
