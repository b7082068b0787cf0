#include "codec/api.h"

const struct api_format *api_format_of(enum settings_format format)
{
    return format == SETTINGS_FORMAT_JSON ? &api_json : &api_xml;
}
