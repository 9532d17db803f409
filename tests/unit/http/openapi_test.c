/* The OpenAPI document holds every route, and every description is of a route. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include "api_description.h"
#include "openapi.h"
#include "request.h"

static json_t *document(void)
{
    struct strbuf out = STRBUF_INIT;
    assert_true(openapi__write(&out, "3.1.0", "/"));
    json_error_t error;
    json_t *root = json_loadb(out.data, out.size, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL)
        fail_msg("%s at %d", error.text, error.position);
    strbuf_deinit(&out);
    return root;
}

static void every_route_is_described(void **state)
{
    (void)state;
    json_t *root = document();
    json_t *paths = json_object_get(root, "paths");
    assert_int_equal(json_object_size(paths), http_route_count);
    static const struct {
        unsigned flag;
        const char *name;
    } methods[] = {{ROUTE_GET, "get"}, {ROUTE_POST, "post"}, {ROUTE_PUT, "put"}};
    for (size_t i = 0; i < http_route_count; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s", http_routes[i].path);
        char *colon = strchr(path, ':');
        json_t *item = json_object_get(paths, colon == NULL ? path : "/api/v1/label/{name}/values");
        if (item == NULL)
            fail_msg("%s is missing", path);
        for (size_t m = 0; m < sizeof methods / sizeof *methods; m++) {
            bool wanted = (http_routes[i].flags & methods[m].flag) != 0;
            if ((json_object_get(item, methods[m].name) != NULL) != wanted)
                fail_msg("%s %s", methods[m].name, path);
        }
    }
    json_decref(root);
}

static void every_description_has_its_route(void **state)
{
    (void)state;
    for (size_t d = 0; d < api_description_count; d++) {
        size_t found = 0;
        for (size_t i = 0; i < http_route_count; i++)
            found += strcmp(api_descriptions[d].path, http_routes[i].path) == 0;
        if (found != 1)
            fail_msg("%s is described, but a route %zu times", api_descriptions[d].path, found);
    }
}

static void operations_have_names_of_their_own(void **state)
{
    (void)state;
    json_t *root = document(), *seen = json_object(), *item, *operation;
    const char *path, *method;
    json_object_foreach(json_object_get(root, "paths"), path, item)
    {
        json_object_foreach(item, method, operation)
        {
            const char *id = json_string_value(json_object_get(operation, "operationId"));
            if (json_object_get(seen, id) != NULL)
                fail_msg("%s twice", id);
            json_object_set_new(seen, id, json_true());
        }
    }
    json_decref(seen);
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_route_is_described),
        cmocka_unit_test(every_description_has_its_route),
        cmocka_unit_test(operations_have_names_of_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
