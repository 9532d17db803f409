/* Which files a configuration names. */
#include "config_impl.h"

struct file_walk {
    void (*visit)(void *context, const char *key, struct str path);
    void *context;
};

static void walk_object(const struct file_walk *walk, const struct object *object)
{
    for (uint32_t i = 0; object != NULL && object->schema->fields[i].name != NULL; i++) {
        const struct field *field = &object->schema->fields[i];
        const struct value *value = &object->values[i];
        bool names_files = (field->flags & FIELD_PATH) != 0;
        if (names_files && value->text.size > 0)
            walk->visit(walk->context, field->name, value->text);
        for (uint32_t k = 0; k < value->count; k++) {
            if (names_files && field->kind == FIELD_STRINGS)
                walk->visit(walk->context, field->name, value->strings[k]);
            else if (field->kind == FIELD_OBJECTS)
                walk_object(walk, value->objects[k]);
            else if (field->kind == FIELD_OBJECT_MAP)
                walk_object(walk, value->named_objects[k].object);
        }
        walk_object(walk, value->object);
    }
}

void config_visit_files(const struct config *config,
                        void (*visit)(void *context, const char *key, struct str path),
                        void *context)
{
    const struct config_impl *impl = (const struct config_impl *)config;
    struct file_walk walk = {visit, context};
    walk_object(&walk, impl->root);
    for (uint32_t i = 0; i < impl->job_count; i++) {
        if (impl->job_files[i].size > 0) /* the others are in the root */
            walk_object(&walk, impl->jobs[i]);
    }
}
