#include "io/tls_ca.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "io/read_file.h"

#define CA_BYTES_MAX (16 * 1024 * 1024) /* far above a system's whole store */

static int read_regular(const char *path, struct buf *ret)
{
    _cleanup_(read_file_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    return fd < 0 ? -errno : read_file(fd, ret);
}

/* Read as OpenSSL will read it: keys and lists of what is revoked do not count. */
static bool has_certificate(const struct buf *text)
{
    BIO *bio = BIO_new_mem_buf(buf_str(text), (int)text->len);
    STACK_OF(X509_INFO) *infos = bio ? PEM_X509_INFO_read_bio(bio, NULL, NULL, NULL) : NULL;
    bool found = false;
    for (int i = 0; i < sk_X509_INFO_num(infos); i++)
        found |= sk_X509_INFO_value(infos, i)->x509 != NULL;
    sk_X509_INFO_pop_free(infos, X509_INFO_free);
    BIO_free(bio);
    ERR_clear_error();
    return found;
}

static const char *remedy(int error)
{
    if (error == -ENOENT)
        return "save the certificate of Enterprise Manager, or of its CA, there";
    if (error == -EACCES)
        return "make it readable for this user, who is to be the daemon's";
    if (error == -EISDIR || error == -ENOTSUP)
        return "name a regular file with the certificate of Enterprise Manager, or of its CA";
    return "name a file with the certificate of Enterprise Manager, or of its CA";
}

int tls_ca_check(const char *path, struct buf *ret_error)
{
    _cleanup_(buf_done) struct buf text = BUF_INIT(CA_BYTES_MAX);
    int r = read_regular(path, &text);
    if (r == -ENOTSUP)
        buf_printf(ret_error, "tls.ca_file %s: is not a regular file; %s", path, remedy(r));
    else if (r < 0)
        buf_printf(ret_error, "tls.ca_file %s: cannot be read: %s; %s", path, strerror(-r), remedy(r));
    if (r < 0 || has_certificate(&text))
        return r;
    buf_printf(ret_error,
               "tls.ca_file %s: holds no certificate in PEM form; save that of Enterprise Manager, or of its "
               "CA, there (it begins with -----BEGIN CERTIFICATE-----)",
               path);
    return -EINVAL;
}
