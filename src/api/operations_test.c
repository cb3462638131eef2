/*
 * operations_test.c - the table of operations: complete, described, guarded; and its OpenAPI text
 */
#include <stdio.h>

#include "base/testing.h"

#include "api/api_private.h"

/* Calls visit for every operation. */
static void
each_operation(void (*visit)(const struct api_operation *operation))
{
    size_t count = 0;

    for (size_t t = 0; api_operations[t] != NULL; t++)
        for (size_t i = 0; api_operations[t][i].path != NULL; i++, count++)
            visit(&api_operations[t][i]);
    assert_true(count > 20);
}

static void
check_schema(const struct api_operation *operation, const char *text)
{
    json_auto_t *schema = NULL;
    struct err err;

    if (text == NULL)
        return;
    if (json_parse(str_from_c(text), &schema, &err) != ST_OK || !json_is_object(schema))
        fail_msg("%s: a schema is no JSON object: %s", operation->id, err.detail);
}

static void
check_complete(const struct api_operation *operation)
{
    const char *id = operation->id == NULL ? operation->path : operation->id;

    if (operation->id == NULL || strlen(operation->id) == 0 || operation->summary == NULL ||
        strlen(operation->summary) < 5 || operation->tag == NULL || strlen(operation->tag) == 0)
        fail_msg("%s: id, tag or summary is missing", id);
    if (operation->handler == NULL || operation->path[0] != '/')
        fail_msg("%s: no handler, or no path", id);
    if (operation->success < 200 || operation->success > 302)
        fail_msg("%s: success is %d", id, operation->success);
    if ((operation->access == ACCESS_KEY) != (operation->scopes != 0) &&
        strcmp(id, "organization.get") != 0) /* any key may ask whose it is */
        fail_msg("%s: a key's operation names its scopes, and only that", id);
    if ((operation->method == HTTP_GET || operation->method == HTTP_DELETE) &&
        operation->request_schema != NULL)
        fail_msg("%s: a body that nobody sends", id);
    if (operation->success == 204 && operation->response_schema != NULL)
        fail_msg("%s: 204 has no body", id);
    check_schema(operation, operation->request_schema);
    check_schema(operation, operation->response_schema);
}

static void
operations_are_complete(void **state)
{
    (void)state;
    each_operation(check_complete);
}

/* What is open to whom; whoever adds a path without a key has to think here. */
static void
check_access(const struct api_operation *operation)
{
    static const struct {
        const char *prefix;
        enum api_access access;
    } open[] = {
        {"/healthz", ACCESS_PUBLIC},          {"/readyz", ACCESS_PUBLIC},
        {"/metrics", ACCESS_PUBLIC},          {"/openapi.json", ACCESS_PUBLIC},
        {"/v1/blobs/{token}", ACCESS_PUBLIC}, {"/chat/", ACCESS_PUBLIC},
        {"/widget", ACCESS_PUBLIC},           {"/webhooks/", ACCESS_PROVIDER},
        {"/webhook/", ACCESS_PROVIDER},       {"/v1/webchat/", ACCESS_VISITOR},
    };
    struct str path = str_from_c(operation->path);

    if (operation->access == ACCESS_KEY) {
        if (!str_starts_with(path, STR("/v1/")))
            fail_msg("%s: keys are for /v1", operation->id);
        return;
    }
    for (size_t i = 0; i < sizeof(open) / sizeof(open[0]); i++)
        if (str_starts_with(path, str_from_c(open[i].prefix))) {
            /* A visitor's first step is to get a token; the page asks for its looks before. */
            if (operation->access != open[i].access && open[i].access != ACCESS_VISITOR)
                fail_msg("%s: access %d", operation->id, (int)operation->access);
            return;
        }
    if (!str_eq_c(path, "/"))
        fail_msg("%s %s: not meant to be open", operation->id, operation->path);
}

static void
nothing_is_open_by_accident(void **state)
{
    (void)state;
    each_operation(check_access);
}

/* Reading needs a right to read, changing one to change. */
static void
check_scopes(const struct api_operation *operation)
{
    static const unsigned reading = SCOPE_CONVERSATIONS_READ | SCOPE_KNOWLEDGE_READ;
    unsigned changing = SCOPE_CONVERSATIONS_WRITE | SCOPE_KNOWLEDGE_WRITE | SCOPE_ADMIN |
                        SCOPE_OPERATE | SCOPE_QUERY;

    if (operation->access != ACCESS_KEY || operation->method == HTTP_GET)
        return;
    if ((operation->scopes & changing) == 0 || (operation->scopes & ~reading) == 0)
        fail_msg("%s: changes with the right to read alone", operation->id);
}

static void
changing_needs_more_than_reading(void **state)
{
    (void)state;
    each_operation(check_scopes);
}

static void
ids_and_routes_are_unique(void **state)
{
    json_auto_t *ids = json_object(), *routes = json_object();
    char route[256];

    (void)state;
    for (size_t t = 0; api_operations[t] != NULL; t++)
        for (size_t i = 0; api_operations[t][i].path != NULL; i++) {
            const struct api_operation *operation = &api_operations[t][i];

            if (json_object_get(ids, operation->id) != NULL)
                fail_msg("%s twice", operation->id);
            json_object_set_new(ids, operation->id, json_true());
            assert_true(snprintf(route, sizeof(route), "%s %s", http_method_name(operation->method),
                                 operation->path) < (int)sizeof(route));
            if (json_object_get(routes, route) != NULL)
                fail_msg("%s twice", route);
            json_object_set_new(routes, route, json_true());
        }
}

/* --- OpenAPI --- */

static void
check_references(const json_t *document, const json_t *value)
{
    const char *key;
    json_t *member;
    size_t i;

    if (json_is_array(value)) {
        json_array_foreach (value, i, member) {
            check_references(document, member);
        }
    }
    if (!json_is_object(value))
        return;
    json_object_foreach ((json_t *)(uintptr_t)value, key, member) {
        struct str rest, part;

        if (strcmp(key, "$ref") != 0) {
            check_references(document, member);
            continue;
        }
        rest = str_from_c(json_string_value(member));
        assert_true(str_starts_with(rest, STR("#/")));
        rest = str_sub(rest, 2, rest.len);
        member = (json_t *)(uintptr_t)document;
        while (member != NULL && str_split(&rest, '/', &part))
            member = json_object_getn(member, part.ptr, part.len);
        if (member == NULL)
            fail_msg("%s leads nowhere", json_string_value(json_object_get(value, "$ref")));
    }
}

static void
references_resolve(void **state)
{
    json_auto_t *document = api_openapi();

    (void)state;
    ASSERT_STR(json_get_str(document, "openapi"), "3.1.0");
    assert_true(json_get_str(json_get_object(document, "info"), "title").len > 0);
    assert_true(json_get_str(json_get_object(document, "info"), "version").len > 0);
    check_references(document, document);
}

/* Every {name} of a path is a required path parameter, and there is no other. */
static void
check_path_parameters(const char *path, const json_t *operation)
{
    json_t *list = json_get_array(operation, "parameters"), *parameter;
    struct str rest = str_from_c(path);
    size_t named = 0, described = 0, i;

    for (ptrdiff_t open; (open = str_find_byte(rest, '{')) >= 0;) {
        ptrdiff_t close = str_find_byte(rest, '}');
        struct str name;
        bool found = false;

        assert_true(close > open);
        name = str_sub(rest, (size_t)open + 1, (size_t)(close - open) - 1);
        json_array_foreach (list, i, parameter) {
            found |= str_eq(json_get_str(parameter, "name"), name) &&
                     str_eq_c(json_get_str(parameter, "in"), "path") &&
                     json_is_true(json_object_get(parameter, "required"));
        }
        if (!found)
            fail_msg("%s: {%.*s} is not described", path, STR_ARG(name));
        named++;
        rest = str_sub(rest, (size_t)close + 1, rest.len);
    }
    json_array_foreach (list, i, parameter) {
        described += str_eq_c(json_get_str(parameter, "in"), "path");
        assert_true(json_get_str(json_get_object(parameter, "schema"), "type").len > 0);
    }
    assert_int_equal(named, described);
}

/* Whatever proof is asked for is a scheme that the document explains. */
static void
check_security(const json_t *document, const json_t *operation)
{
    json_t *schemes = json_get_object(json_get_object(document, "components"), "securitySchemes");
    json_t *list = json_get_array(operation, "security"), *need, *scopes;
    const char *scheme;
    size_t i;

    json_array_foreach (list, i, need) {
        json_object_foreach (need, scheme, scopes) {
            assert_non_null(json_object_get(schemes, scheme));
            assert_true(json_is_array(scopes));
        }
    }
}

static void
every_operation_is_described(void **state)
{
    json_auto_t *document = api_openapi();
    json_t *paths = json_get_object(document, "paths"), *item, *operation;
    const char *path, *method;
    size_t described = 0, listed = 0;

    (void)state;
    json_object_foreach (paths, path, item) {
        json_object_foreach (item, method, operation) {
            check_path_parameters(path, operation);
            check_security(document, operation);
            assert_true(json_get_str(operation, "operationId").len > 0);
            assert_true(json_object_size(json_get_object(operation, "responses")) > 1);
            described++;
        }
    }
    for (size_t t = 0; api_operations[t] != NULL; t++)
        for (size_t i = 0; api_operations[t][i].path != NULL; i++)
            listed++;
    assert_int_equal(described, listed);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operations_are_complete),
        cmocka_unit_test(nothing_is_open_by_accident),
        cmocka_unit_test(changing_needs_more_than_reading),
        cmocka_unit_test(ids_and_routes_are_unique),
        cmocka_unit_test(references_resolve),
        cmocka_unit_test(every_operation_is_described),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
