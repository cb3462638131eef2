/*
 * openapi.c - OpenAPI 3.1 from the table of operations: what is served is what is described
 */
#include <stdio.h>
#include <string.h>

#include "api/api_private.h"

#define PATH_PARTS 512

static const char *const access_schemes[] = {
    [ACCESS_PUBLIC] = NULL,
    [ACCESS_KEY] = "api_key",
    [ACCESS_VISITOR] = "visitor",
    [ACCESS_PROVIDER] = NULL,
};

static json_t *
parse_schema(const char *text)
{
    json_t *schema = json_loads(text, 0, NULL);

    return schema == NULL ? json_object() : schema;
}

static json_t *
content(const char *type, const char *schema)
{
    json_t *media = json_object(), *map = json_object();

    json_set(media, "schema", parse_schema(schema));
    json_set(map, type, media);
    return map;
}

static json_t *
parameter(struct str name, const char *in, struct str type, struct str description, bool required)
{
    json_t *p = json_object(), *schema = json_object();

    json_set_str(p, "name", name);
    json_set_str(p, "in", str_from_c(in));
    json_set_bool(p, "required", required);
    if (description.len > 0)
        json_set_str(p, "description", description);
    json_set_str(schema, "type", type);
    json_set(p, "schema", schema);
    return p;
}

/* {name} in the path, then "name:type:description;..." of the query. */
static json_t *
parameters(const struct api_operation *operation)
{
    json_t *list = json_array();
    struct str path = str_from_c(operation->path);
    struct str query = str_from_c(operation->query), part;
    ptrdiff_t open;

    while ((open = str_find_byte(path, '{')) >= 0) {
        ptrdiff_t close = str_find_byte(path, '}');
        struct str name = str_sub(path, (size_t)open + 1, (size_t)(close - open) - 1);

        if (str_ends_with(name, STR("*")))
            name.len--;
        json_array_append_new(list, parameter(name, "path", STR("string"), STR(""), true));
        path = str_sub(path, (size_t)close + 1, path.len);
    }
    while (query.len > 0) {
        struct str name, type;

        if (!str_split(&query, ';', &part)) {
            part = query;
            query = STR("");
        }
        if (str_split(&part, ':', &name) && str_split(&part, ':', &type))
            json_array_append_new(list, parameter(name, "query", type, part, false));
    }
    if (operation->access == ACCESS_KEY && operation->method != HTTP_GET)
        json_array_append_new(
            list,
            parameter(STR("Idempotency-Key"), "header", STR("string"),
                      STR("The same key again gives the same answer and has no effect"), false));
    return list;
}

static void
add_response(json_t *responses, int status, const char *description, json_t *body)
{
    json_t *response = json_object();
    char code[8];

    snprintf(code, sizeof(code), "%d", status);
    json_set_str(response, "description", str_from_c(description));
    if (body != NULL)
        json_set(response, "content", body);
    json_set(responses, code, response);
}

static json_t *
problem(void)
{
    return content("application/problem+json", "{\"$ref\":\"#/components/schemas/Problem\"}");
}

static json_t *
responses(const struct api_operation *operation)
{
    json_t *list = json_object();

    add_response(list, operation->success, "It worked",
                 operation->response_schema == NULL
                     ? NULL
                     : content("application/json", operation->response_schema));
    add_response(list, 400, "The request is wrong; detail says what to change", problem());
    if (operation->access != ACCESS_PUBLIC)
        add_response(list, 401, "No proof of who is asking, or one that does not count", problem());
    if (operation->access == ACCESS_KEY)
        add_response(list, 403, "The key lacks a scope", problem());
    if (strchr(operation->path, '{') != NULL)
        add_response(list, 404, "Nothing has this id in this organization", problem());
    add_response(list, 429, "Too many requests; Retry-After says how long to wait", problem());
    add_response(list, 503, "Cannot be done now; Retry-After says how long to wait", problem());
    return list;
}

static json_t *
operation_json(const struct api_operation *operation)
{
    json_t *row = json_object(), *tags = json_array(), *security = json_array();
    const char *scheme = access_schemes[operation->access];
    bool upload = (operation->route_flags & HTTP_ROUTE_UPLOAD) != 0;
    json_t *body;

    json_set_str(row, "operationId", str_from_c(operation->id));
    json_set_str(row, "summary", str_from_c(operation->summary));
    json_array_append_new(tags, json_string(operation->tag));
    json_set(row, "tags", tags);
    json_set(row, "parameters", parameters(operation));
    if (operation->request_schema != NULL) {
        body = json_object();
        json_set(body, "content",
                 content(upload ? "multipart/form-data" : "application/json",
                         operation->request_schema));
        json_set(row, "requestBody", body);
    }
    json_set(row, "responses", responses(operation));
    if (scheme != NULL) {
        json_t *need = json_object();

        json_set(need, scheme, json_array());
        json_array_append_new(security, need);
    }
    json_set(row, "security", security);
    return row;
}

static json_t *
components(void)
{
    return parse_schema(
        "{\"schemas\":{\"Problem\":{\"type\":\"object\",\"required\":[\"title\",\"status\","
        "\"detail\"],\"properties\":{\"type\":{\"type\":\"string\"},\"title\":{\"type\":\"string\"}"
        ","
        "\"status\":{\"type\":\"integer\"},\"detail\":{\"type\":\"string\"},\"trace_id\":{\"type\":"
        "\"string\"}}}},\"securitySchemes\":{\"api_key\":{\"type\":\"http\",\"scheme\":\"bearer\","
        "\"description\":\"An API key, pk_...\"},\"visitor\":{\"type\":\"http\",\"scheme\":"
        "\"bearer\",\"description\":\"A visitor's token from webchat.session\"}}}");
}

/* OpenAPI knows no "{rest*}". */
static const char *
plain_path(const char *path, char out[PATH_PARTS])
{
    size_t len = 0;

    for (; *path != '\0' && len + 1 < PATH_PARTS; path++)
        if (*path != '*')
            out[len++] = *path;
    out[len] = '\0';
    return out;
}

static const char *
method_key(enum http_method method)
{
    switch (method) {
    case HTTP_GET:
        return "get";
    case HTTP_POST:
        return "post";
    case HTTP_PUT:
        return "put";
    case HTTP_PATCH:
        return "patch";
    case HTTP_DELETE:
        return "delete";
    case HTTP_OPTIONS:
        return "options";
    case HTTP_HEAD:
        return "head";
    }
    return "get";
}

json_t *
api_openapi(void)
{
    json_t *document = parse_schema(
        "{\"openapi\":\"3.1.0\",\"info\":{\"title\":\"Parley\",\"version\":\"" PARLEY_VERSION
        "\",\"license\":{\"name\":\"Apache-2.0\",\"identifier\":\"Apache-2.0\"},\"description\":"
        "\"Omnichannel AI messaging server. Lists are pages: pass next_cursor as cursor. Errors "
        "are "
        "application/problem+json.\"}}");
    json_t *paths = json_object();
    char path[PATH_PARTS];
    size_t t, i;

    for (t = 0; api_operations[t] != NULL; t++)
        for (i = 0; api_operations[t][i].path != NULL; i++) {
            const struct api_operation *operation = &api_operations[t][i];
            const char *key = plain_path(operation->path, path);
            json_t *item = json_object_get(paths, key);

            if (item == NULL) {
                item = json_object();
                json_set(paths, key, item);
            }
            json_set(item, method_key(operation->method), operation_json(operation));
        }
    json_set(document, "paths", paths);
    json_set(document, "components", components());
    return document;
}
