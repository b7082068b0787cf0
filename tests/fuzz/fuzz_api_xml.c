#define FORMAT api_xml
#include "fuzz_api.h"
