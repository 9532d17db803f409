#include "narthex/model/exposition.h"

#include <assert.h>

#include "exposition_parser.h"
#include "narthex/base/mem.h"

struct exposition *exposition_create(void)
{
    return MEM_NEW(MEM_SCRAPE, struct exposition);
}

void exposition_destroy(struct exposition *exposition)
{
    if (exposition == NULL)
        return;
    exposition__protobuf_destroy(exposition->protobuf);
    exposition__starts_destroy(exposition->starts);
    mem_free(MEM_SCRAPE, exposition);
}

void exposition_start(struct exposition *exposition, enum exposition_format format,
                      const struct exposition_options *options, struct str body)
{
    exposition->format = format;
    exposition->options = *options;
    exposition->lexer = (struct lexer){
        .data = body.size == 0 ? "" : body.data,
        .size = body.size,
        .limit = body.size + (format == EXPOSITION_TEXT),
        .state = LEX_INIT,
    };
    exposition->entry_start = 0;
    exposition->type = METADATA_UNKNOWN;
    exposition->ended = false;
    exposition->exemplar.labels.size = 0;
    if (format == EXPOSITION_PROTOBUF)
        exposition__protobuf_start(exposition);
    if (format == EXPOSITION_OPENMETRICS && options->start_timestamps)
        exposition__starts_begin(exposition);
}

static err_t next_of_text(struct exposition *exposition, struct exposition_entry *entry,
                          struct strbuf *why)
{
    size_t key_size = exposition__quick_key(exposition);
    if (key_size > 0 && exposition__quick_value(exposition, key_size, STR(""), entry))
        return OK;
    if (key_size == 0 && exposition__quick_metadata(exposition, entry))
        return OK;
    exposition->exemplar.labels.size = 0;
    if (exposition->format == EXPOSITION_OPENMETRICS)
        return exposition__openmetrics_next(exposition, entry, why);
    return exposition__text_next(exposition, entry, why);
}

err_t exposition_next(struct exposition *exposition, struct exposition_entry *entry,
                      struct strbuf *why)
{
    if (exposition->ended) {
        *entry = (struct exposition_entry){.kind = EXPOSITION_END};
        return OK;
    }
    if (exposition->format == EXPOSITION_PROTOBUF)
        return exposition__protobuf_next(exposition, entry, why);
    TRY(next_of_text(exposition, entry, why));
    if (exposition->options.start_timestamps && exposition->format == EXPOSITION_OPENMETRICS)
        exposition__starts_apply(exposition, entry);
    return OK;
}

struct str exposition_peek_line(struct exposition *exposition)
{
    struct lexer *lexer = &exposition->lexer;
    if (exposition->ended || exposition->format == EXPOSITION_PROTOBUF || lexer->state != LEX_INIT)
        return (struct str){NULL, 0};
    while (exposition->format == EXPOSITION_TEXT && lexer->at < lexer->size &&
           lexer->data[lexer->at] == '\n')
        lexer->at++;
    if (lexer->at >= lexer->size)
        return (struct str){NULL, 0};
    return str_from(lexer->data + lexer->at, lexer->size - lexer->at);
}

struct str exposition_peek(struct exposition *exposition)
{
    struct str rest = exposition_peek_line(exposition);
    return rest.size == 0 || rest.data[0] == '#' ? (struct str){NULL, 0} : rest;
}

struct str exposition_peek_comment(struct exposition *exposition)
{
    struct str rest = exposition_peek_line(exposition);
    return rest.size == 0 || rest.data[0] != '#' ? (struct str){NULL, 0} : rest;
}

void exposition_skip_comment(struct exposition *exposition, size_t line_size,
                             const enum metadata_type *type)
{
    struct lexer *lexer = &exposition->lexer;
    assert(!exposition->ended && lexer->state == LEX_INIT);
    assert(line_size > 0 && line_size <= lexer->size - lexer->at);
    assert(lexer->data[lexer->at] == '#' && lexer->data[lexer->at + line_size - 1] == '\n');
    lexer->at += line_size;
    if (type != NULL)
        exposition->type = *type;
}

bool exposition_next_known(struct exposition *exposition, size_t key_size, struct str same_text,
                           struct exposition_entry *entry)
{
    const struct lexer *lexer = &exposition->lexer;
    assert(!exposition->ended && lexer->state == LEX_INIT);
    assert(key_size > 0 && key_size <= lexer->size - lexer->at);
    return exposition__quick_value(exposition, key_size, same_text, entry);
}

void exposition_skip_known(struct exposition *exposition, size_t size, enum metadata_type type)
{
    struct lexer *lexer = &exposition->lexer;
    assert(!exposition->ended && lexer->state == LEX_INIT);
    assert(size <= lexer->size - lexer->at);
    lexer->at += size;
    exposition->type = type;
    exposition->exemplar.labels.size = 0;
}

size_t exposition_entry_start(const struct exposition *exposition)
{
    return exposition->format == EXPOSITION_PROTOBUF ? SIZE_MAX : exposition->entry_start;
}

enum metadata_type exposition_type(const struct exposition *exposition)
{
    return exposition->type;
}

void exposition_key_labels(enum exposition_format format, struct str key, enum metadata_type type,
                           struct arena *arena, struct label **items, uint32_t *count)
{
    if (format == EXPOSITION_PROTOBUF)
        exposition__protobuf_key_labels(key, arena, items, count);
    else
        exposition__text_key_labels(key, type, arena, items, count);
}

bool exposition_next_exemplar(struct exposition *exposition, struct arena *arena,
                              struct exposition_exemplar *exemplar)
{
    if (exposition->format == EXPOSITION_PROTOBUF)
        return exposition__protobuf_exemplar(exposition, arena, exemplar);
    struct pending_exemplar *pending = &exposition->exemplar;
    if (pending->labels.size == 0)
        return false;
    exemplar->labels = exposition__exemplar_labels(pending->labels, arena);
    exemplar->value = pending->value;
    exemplar->has_timestamp = pending->has_timestamp;
    exemplar->timestamp_ms = pending->timestamp_ms;
    pending->labels.size = 0;
    return true;
}

void exposition_help(enum exposition_format format, struct str text, struct strbuf *out)
{
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        char following = i + 1 < text.size ? text.data[i + 1] : '\0';
        bool escape = c == '\\' && format != EXPOSITION_PROTOBUF &&
                      (following == '\\' || following == 'n' ||
                       (following == '"' && format == EXPOSITION_OPENMETRICS));
        if (escape) {
            c = following == 'n' ? '\n' : following;
            i++;
        }
        strbuf_add_char(out, c);
    }
}
