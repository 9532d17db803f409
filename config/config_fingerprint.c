/* Fingerprints of sections: whether a reload changed them. They count what printing hides. */
#include "config_impl.h"

#include "narthex/base/hash.h"

static void add_text(struct strbuf *out, struct str text)
{
    strbuf_add_str(out, text);
    strbuf_add_char(out, '\0');
}

static void add_lists(struct strbuf *out, const struct value *value)
{
    for (uint32_t i = 0; i < value->count; i++) {
        for (uint32_t k = 0; k < value->named[i].count; k++)
            add_text(out, value->named[i].items[k]);
    }
}

/* Texts that print as <secret>, or with a password left out. */
static void add_secrets(struct strbuf *out, const struct object *object)
{
    for (uint32_t i = 0; object->schema->fields[i].name != NULL; i++) {
        const struct value *value = &object->values[i];
        switch (object->schema->fields[i].kind) {
        case FIELD_URL:
        case FIELD_SECRET:
            add_text(out, value->text);
            break;
        case FIELD_SECRETS:
            for (uint32_t k = 0; k < value->count; k++)
                add_text(out, value->strings[k]);
            break;
        case FIELD_SECRET_LISTS:
            add_lists(out, value);
            break;
        case FIELD_OBJECT:
            if (value->object != NULL)
                add_secrets(out, value->object);
            break;
        case FIELD_OBJECTS:
            for (uint32_t k = 0; k < value->count; k++)
                add_secrets(out, value->objects[k]);
            break;
        case FIELD_OBJECT_MAP:
            for (uint32_t k = 0; k < value->count; k++)
                add_secrets(out, value->named_objects[k].object);
            break;
        default:
            break;
        }
    }
}

uint64_t config__fingerprint(const struct object *object)
{
    struct strbuf text = STRBUF_INIT;
    schema_print(object, 0, &text);
    add_secrets(&text, object);
    uint64_t fingerprint = hash_xxh64(text.data, text.size);
    strbuf_deinit(&text);
    return fingerprint;
}
