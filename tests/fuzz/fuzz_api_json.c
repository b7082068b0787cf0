#define FORMAT api_json
#include "fuzz_api.h"
