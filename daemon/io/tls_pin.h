/* The pin of a certificate's key, as tls.pin of the settings takes it. */
#pragma once

#define TLS_PIN_LEN 52 /* "sha256//" and 44 characters */

/* "sha256//BASE64" of the public key of a certificate in PEM. 0 or -EINVAL. */
int tls_pin_of_pem(const char *pem, char ret[TLS_PIN_LEN + 1]);
