/* Small texts of the wire that every format shares: GUIDs in urns and links. */
#pragma once

#include <stdbool.h>

#define API_GUID_LEN 36

/* The GUID at the end of a urn ("urn:veeam:Job:GUID") in lower case. */
bool api_guid_of_uid(const char *uid, char ret[API_GUID_LEN + 1]);

/* The GUID behind `folder` ("/jobs/") in an Href, whatever host it names, in lower case. */
bool api_guid_of_href(const char *href, const char *folder, char ret[API_GUID_LEN + 1]);
