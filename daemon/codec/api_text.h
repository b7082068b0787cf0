/* Small texts of the wire that every format shares: GUIDs in urns and links. */
#pragma once

#include <stdbool.h>

#define API_GUID_LEN 36

/* The GUID at the end of a urn ("urn:veeam:Job:GUID") in lower case. On failure `ret` stays. */
bool api_guid_of_uid(const char *uid, char ret[API_GUID_LEN + 1]);

/* The GUID that an Href's path ends with, right behind `folder` ("/jobs/"), in
 * lower case; host, query and a slash at the end do not count, and a longer path
 * (".../jobs/GUID/includes") is another resource. */
bool api_guid_of_href(const char *href, const char *folder, char ret[API_GUID_LEN + 1]);
