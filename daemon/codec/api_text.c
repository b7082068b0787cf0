#include "codec/api_text.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "codec/api.h"

static bool guid_copy(const char *text, char ret[API_GUID_LEN + 1])
{
    for (int i = 0; i < API_GUID_LEN; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? text[i] != '-' : !isxdigit((unsigned char)text[i]))
            return false;
        ret[i] = (char)tolower((unsigned char)text[i]);
    }
    ret[API_GUID_LEN] = '\0';
    return true;
}

bool api_guid_of_uid(const char *uid, char ret[API_GUID_LEN + 1])
{
    const char *colon = strrchr(uid, ':');
    const char *guid = colon ? colon + 1 : uid;
    char copy[API_GUID_LEN + 1];
    if (!guid_copy(guid, copy) || guid[API_GUID_LEN] != '\0')
        return false;
    memcpy(ret, copy, sizeof(copy));
    return true;
}

bool api_guid_of_href(const char *href, const char *folder, char ret[API_GUID_LEN + 1])
{
    size_t len = strcspn(href, "?#"), folder_len = strlen(folder);
    if (len && href[len - 1] == '/')
        len--;
    if (len < folder_len + API_GUID_LEN)
        return false;
    const char *guid = href + len - API_GUID_LEN;
    char copy[API_GUID_LEN + 1];
    if (strncasecmp(guid - folder_len, folder, folder_len) != 0 || !guid_copy(guid, copy))
        return false;
    memcpy(ret, copy, sizeof(copy));
    return true;
}

int api_encode_query(const char *text, struct buf *ret)
{
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        bool plain = isalnum(*p) || strchr("-._~", *p) != NULL;
        int r = plain && *p < 0x80 ? buf_add_char(ret, (char)*p) : buf_printf(ret, "%%%02X", *p);
        if (r < 0)
            return r;
    }
    return 0;
}
