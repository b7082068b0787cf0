/* The pin of a certificate, as openssl and curl count it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>
#include <errno.h>

#include "io/tls_pin.h"

/* openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=pin -days 36500 */
static const char certificate[] = "-----BEGIN CERTIFICATE-----\n"
                                  "MIIBczCCARmgAwIBAgIUEJVXM4IVWswXjtnvzsv6OPMvcl0wCgYIKoZIzj0EAwIw\n"
                                  "DjEMMAoGA1UEAwwDcGluMCAXDTI2MTEyNjAwNDAyNVoYDzIxMjYxMTAyMDA0MDI1\n"
                                  "WjAOMQwwCgYDVQQDDANwaW4wWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARaytMr\n"
                                  "92TUsIEes2zD4rHElBrO8NIBlAE5J69L9bocAZsTnXEwg7kj+lvNpwffYRNHwX+e\n"
                                  "AvC++i8p3srL0LtGo1MwUTAdBgNVHQ4EFgQUz9lW9ltoihyk95irUQEdr/6qbAUw\n"
                                  "HwYDVR0jBBgwFoAUz9lW9ltoihyk95irUQEdr/6qbAUwDwYDVR0TAQH/BAUwAwEB\n"
                                  "/zAKBggqhkjOPQQDAgNIADBFAiEA9Xn2UBCrX79CdzNsFmKt7WPHVFIO+18FddVo\n"
                                  "GkNMkoICIG4CA88Uoa27UncD2AzDTLgkXfPckPuzrxT3LAailArW\n"
                                  "-----END CERTIFICATE-----\n";

static void the_pin_is_that_of_the_key(void **state)
{
    (void)state;
    char pin[TLS_PIN_LEN + 1];
    assert_int_equal(tls_pin_of_pem(certificate, pin), 0);
    assert_string_equal(pin, "sha256//hCgJtN6MdMcss3fcKhVCf6la0teaUZvZMRPachNe/Xo=");
}

static void what_is_no_certificate_has_no_pin(void **state)
{
    (void)state;
    char pin[TLS_PIN_LEN + 1];
    assert_int_equal(tls_pin_of_pem("", pin), -EINVAL);
    assert_int_equal(tls_pin_of_pem("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", pin),
                     -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_pin_is_that_of_the_key),
        cmocka_unit_test(what_is_no_certificate_has_no_pin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
