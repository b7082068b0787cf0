/* Bodies of requests in JSON. */
#pragma once

struct api_clone;
struct buf;

/* See struct api_format: encode_clone. */
int api_json_encode_clone(const struct api_clone *clone, struct buf *body);
