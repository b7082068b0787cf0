/* Small texts of the wire that every format shares: GUIDs in urns and links, words. */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "codec/api.h"

#define API_GUID_LEN 36

/* The GUID at the end of a urn ("urn:veeam:Job:GUID") in lower case. On failure `ret` stays. */
bool api_guid_of_uid(const char *uid, char ret[API_GUID_LEN + 1]);

/* The GUID that an Href's path ends with, right behind `folder` ("/jobs/"), in
 * lower case; host, query and a slash at the end do not count, and a longer path
 * (".../jobs/GUID/includes") is another resource. */
bool api_guid_of_href(const char *href, const char *folder, char ret[API_GUID_LEN + 1]);

/* The folder of a kind's links: "/jobs/"; "" for API_ENTITY_OTHER. */
const char *api_kind_folder(enum api_entity_kind kind);

/* What a word ("Job", "JobReference"), a urn or a link is of; API_ENTITY_OTHER when of none. */
enum api_entity_kind api_kind_of_word(struct bytes word);
enum api_entity_kind api_kind_of_uid(const char *uid);
enum api_entity_kind api_kind_of_href(const char *href);

/* The state by its word, exactly. */
enum api_task_state api_task_state_of(const char *word);
