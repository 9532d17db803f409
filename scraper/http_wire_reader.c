#include "http_wire_reader.h"

#include <string.h>

#include "http_client_private.h"
#include "narthex/base/number.h"

enum { LENGTH_DIGITS_MAX = 18, CHUNK_DIGITS_MAX = 15 };

void http_wire_reader_start(struct http_wire_reader *reader, struct http_answer *answer,
                            bool (*on_body)(void *context, const char *data, size_t size),
                            void *context)
{
    struct strbuf line = reader->line;
    strbuf_clear(&line);
    *reader = (struct http_wire_reader){
        .answer = answer, .on_body = on_body, .context = context, .line = line};
    memset(answer, 0, sizeof *answer);
}

void http_wire_reader_deinit(struct http_wire_reader *reader)
{
    strbuf_deinit(&reader->line);
}

bool http_wire_reader_keeps(const struct http_wire_reader *reader)
{
    return reader->state == HTTP_WIRE_ENDED && !reader->close &&
           (!reader->old || reader->keep_alive);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* ---- the head ---- */

static bool take_status(struct http_wire_reader *reader, struct str line)
{
    if (line.size < 12 || memcmp(line.data, "HTTP/1.", 7) != 0 || line.data[8] != ' ')
        return false;
    const char *version = line.data + 7;
    const char *status = line.data + 9;
    if ((*version != '0' && *version != '1') || !is_digit(status[0]) || !is_digit(status[1]) ||
        !is_digit(status[2]) || (line.size > 12 && line.data[12] != ' ') || status[0] < '2')
        return false;
    reader->old = *version == '0';
    http__answer_take_line(reader->answer, line);
    reader->state = HTTP_WIRE_FIELDS;
    return true;
}

static bool is_token(char c)
{
    static const char marks[] = "!#$%&'*+-.^_`|~";
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) ||
           (c != '\0' && strchr(marks, c) != NULL);
}

/* Splits a field; false when it is none, or holds what a field must not hold. */
static bool split_field(struct str line, struct str *name, struct str *value)
{
    size_t colon = 0;
    while (colon < line.size && is_token(line.data[colon]))
        colon++;
    if (colon == 0 || colon == line.size || line.data[colon] != ':')
        return false;
    for (size_t i = colon + 1; i < line.size; i++) {
        unsigned char c = (unsigned char)line.data[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    *name = str_from(line.data, colon);
    *value = str_trim(str_from(line.data + colon + 1, line.size - colon - 1));
    return true;
}

static bool take_length(struct http_wire_reader *reader, struct str value)
{
    if (reader->has_length || value.size == 0 || value.size > LENGTH_DIGITS_MAX)
        return false;
    reader->has_length = true;
    for (size_t i = 0; i < value.size; i++) {
        if (!is_digit(value.data[i]))
            return false;
        reader->left = reader->left * 10 + (uint64_t)(value.data[i] - '0');
    }
    return true;
}

static void take_connection(struct http_wire_reader *reader, struct str value)
{
    for (size_t from = 0; from <= value.size;) {
        size_t comma = str_find(value, ',', from);
        size_t end = comma == SIZE_MAX ? value.size : comma;
        struct str word = str_trim(str_from(value.data + from, end - from));
        reader->close |= str_equal_nocase(word, STR("close"));
        reader->keep_alive |= str_equal_nocase(word, STR("keep-alive"));
        from = end + 1;
    }
}

static bool take_field(struct http_wire_reader *reader, struct str line)
{
    struct str name, value;
    if (!split_field(line, &name, &value))
        return false;
    if (str_equal_nocase(name, STR("Content-Length")))
        return take_length(reader, value);
    if (str_equal_nocase(name, STR("Transfer-Encoding"))) {
        bool again = reader->chunked;
        reader->chunked = true;
        return !again && !reader->old && str_equal_nocase(value, STR("chunked"));
    }
    if (str_equal_nocase(name, STR("Connection")))
        take_connection(reader, value);
    else
        http__answer_take_line(reader->answer, line);
    return true;
}

/* Behind the empty line: how the body is framed. */
static bool end_head(struct http_wire_reader *reader)
{
    uint32_t status = reader->answer->status;
    if (reader->chunked && reader->has_length)
        return false;
    reader->answered = true;
    if (status == 204 || status == 304)
        reader->state = HTTP_WIRE_ENDED;
    else if (reader->chunked)
        reader->state = HTTP_WIRE_CHUNK_SIZE;
    else if (!reader->has_length)
        reader->state = HTTP_WIRE_UNTIL_CLOSE;
    else
        reader->state = reader->left > 0 ? HTTP_WIRE_LENGTH : HTTP_WIRE_ENDED;
    return true;
}

/* ---- chunks ---- */

/* "1f" or "1f;extension" */
static bool take_chunk_size(struct http_wire_reader *reader, struct str line)
{
    size_t i = 0;
    reader->left = 0;
    for (; i < line.size && number_hex_digit(line.data[i]) >= 0; i++)
        reader->left = reader->left * 16 + (uint64_t)number_hex_digit(line.data[i]);
    if (i == 0 || i > CHUNK_DIGITS_MAX || (i < line.size && line.data[i] != ';'))
        return false;
    reader->state = reader->left > 0 ? HTTP_WIRE_CHUNK_DATA : HTTP_WIRE_TRAILER;
    return true;
}

/* One line of head, chunk frame or trailer, without its end; false when it is odd. */
static bool take_line(struct http_wire_reader *reader, struct str line)
{
    struct str name, value;
    switch (reader->state) {
    case HTTP_WIRE_STATUS:
        return take_status(reader, line);
    case HTTP_WIRE_FIELDS:
        return line.size == 0 ? end_head(reader) : take_field(reader, line);
    case HTTP_WIRE_CHUNK_SIZE:
        return take_chunk_size(reader, line);
    case HTTP_WIRE_CHUNK_END:
        reader->state = HTTP_WIRE_CHUNK_SIZE;
        return line.size == 0;
    default:
        if (line.size > 0)
            return split_field(line, &name, &value);
        reader->state = HTTP_WIRE_ENDED;
        return true;
    }
}

/* ---- pieces ---- */

/* Takes a line, or its beginning, from the front of the piece. */
static bool read_line(struct http_wire_reader *reader, const char **data, const char *end)
{
    const char *feed = memchr(*data, '\n', (size_t)(end - *data));
    size_t size = (size_t)((feed == NULL ? end : feed + 1) - *data);
    reader->head_bytes += size;
    if (reader->head_bytes > HTTP_WIRE_HEAD_BYTES_MAX)
        return false;
    struct str line = str_from(*data, size);
    *data += size;
    if (feed == NULL || reader->line.size > 0) {
        strbuf_add_str(&reader->line, line);
        line = strbuf_str(&reader->line);
    }
    if (feed == NULL)
        return true;
    if (line.size < 2 || line.data[line.size - 2] != '\r')
        return false;
    bool good = take_line(reader, str_from(line.data, line.size - 2));
    strbuf_clear(&reader->line);
    return good;
}

/* Hands body bytes on; false when they are not wanted. */
static bool read_body(struct http_wire_reader *reader, const char **data, const char *end)
{
    size_t size = (size_t)(end - *data);
    if (reader->state != HTTP_WIRE_UNTIL_CLOSE) {
        if (size > reader->left)
            size = (size_t)reader->left;
        reader->left -= size;
        if (reader->left == 0)
            reader->state =
                reader->state == HTTP_WIRE_LENGTH ? HTTP_WIRE_ENDED : HTTP_WIRE_CHUNK_END;
    }
    const char *piece = *data;
    *data += size;
    return reader->on_body(reader->context, piece, size);
}

static bool in_body(const struct http_wire_reader *reader)
{
    return reader->state == HTTP_WIRE_LENGTH || reader->state == HTTP_WIRE_UNTIL_CLOSE ||
           reader->state == HTTP_WIRE_CHUNK_DATA;
}

enum http_wire_verdict http_wire_reader_take(struct http_wire_reader *reader, const char *data,
                                             size_t size)
{
    const char *end = data + size;
    while (data < end && reader->state != HTTP_WIRE_ENDED) {
        if (in_body(reader)) {
            if (!read_body(reader, &data, end))
                return HTTP_WIRE_REFUSED;
        } else if (!read_line(reader, &data, end)) {
            return HTTP_WIRE_ODD;
        }
    }
    if (data < end)
        reader->close = true; /* nobody asked for more: what follows answers no request */
    return reader->state == HTTP_WIRE_ENDED ? HTTP_WIRE_DONE : HTTP_WIRE_MORE;
}

enum http_wire_verdict http_wire_reader_close(struct http_wire_reader *reader)
{
    if (!reader->answered)
        return HTTP_WIRE_ODD;
    if (reader->state != HTTP_WIRE_UNTIL_CLOSE)
        return HTTP_WIRE_CUT;
    reader->state = HTTP_WIRE_ENDED;
    reader->close = true;
    return HTTP_WIRE_DONE;
}
