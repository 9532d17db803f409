#include "head_check.h"

#include <stddef.h>
#include <string.h>

#include "narthex/base/str.h"

struct head {
    unsigned lengths;   /* Content-Length headers */
    unsigned encodings; /* Transfer-Encoding headers */
    unsigned hosts;     /* Host headers */
    bool chunked;       /* all of them say just that */
    bool bad_length;
    bool bad_name;
};

static bool is_number(struct str value)
{
    for (size_t i = 0; i < value.size; i++) {
        if (value.data[i] < '0' || value.data[i] > '9')
            return false;
    }
    return value.size > 0;
}

static bool is_token(struct str name)
{
    for (size_t i = 0; i < name.size; i++) {
        unsigned char c = (unsigned char)name.data[i];
        if (c <= ' ' || c >= 0x7f || c == '(' || c == ')' || c == ',' || c == '/' || c == '"')
            return false;
    }
    return name.size > 0;
}

static enum MHD_Result look(void *context, enum MHD_ValueKind kind, const char *key,
                            size_t key_size, const char *value, size_t value_size)
{
    (void)kind;
    struct head *head = context;
    struct str name = str_from(key, key_size);
    struct str text = str_trim(str_from(value, value == NULL ? 0 : value_size));
    if (!is_token(name))
        head->bad_name = true;
    if (str_equal_nocase(name, STR("Content-Length"))) {
        head->lengths++;
        head->bad_length = head->bad_length || !is_number(text);
    } else if (str_equal_nocase(name, STR("Transfer-Encoding"))) {
        head->encodings++;
        head->chunked = head->chunked && str_equal_nocase(text, STR("chunked"));
    } else if (str_equal_nocase(name, STR("Host"))) {
        head->hosts++;
    }
    return MHD_YES;
}

bool head_check(struct MHD_Connection *connection, const char *version, unsigned *status,
                const char **text)
{
    struct head head = {.chunked = true};
    MHD_get_connection_values_n(connection, MHD_HEADER_KIND, look, &head);
    *status = 400;
    if (head.bad_name)
        *text = "400 Bad Request: malformed header name\n";
    else if (head.hosts > 1)
        *text = "400 Bad Request: too many Host headers\n";
    else if (head.hosts == 0 && strcmp(version, MHD_HTTP_VERSION_1_1) == 0)
        *text = "400 Bad Request: missing required Host header\n";
    else if (head.lengths > 1 || head.bad_length)
        *text = "400 Bad Request: bad Content-Length\n";
    else if (head.lengths > 0 && head.encodings > 0)
        *text = "400 Bad Request: both Content-Length and Transfer-Encoding\n";
    else if (head.encodings > 1)
        *text = "400 Bad Request: too many transfer encodings\n";
    else if (!head.chunked) {
        *status = 501;
        *text = "501 Not Implemented: unsupported transfer encoding\n";
    } else
        return true;
    return false;
}
