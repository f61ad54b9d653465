/* Classifies texts, given as token ids, with textgate's engine and without Python.
 *
 *     cc -O2 -std=c11 -ffp-contract=off -I../../runtime/native classify.c ../../runtime/native/[ef]*.c -lm -o classify
 *     python convert.py model.tge "a lovely film"     # writes the model, prints the text's ids
 *     ./classify model.tge 12 345 67
 *
 * Prints one probability a line, in the order of the labels.
 */
#include <stdio.h>
#include <stdlib.h>

#include "textgate_engine.h"

static int fail(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    return 1;
}

/* Return the bytes of a file, which the caller frees, or NULL. */
static void *contents(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    void *bytes = NULL;
    if (!file) return NULL;
    if (fseek(file, 0, SEEK_END) == 0) {
        long end = ftell(file);
        rewind(file);
        *size = end > 0 ? (size_t)end : 0;
        bytes = malloc(*size + 1);
        if (bytes && fread(bytes, 1, *size, file) != *size) {
            free(bytes);
            bytes = NULL;
        }
    }
    fclose(file);
    return bytes;
}

int main(int count, char **arguments)
{
    if (count < 3) return fail("usage", "classify MODEL ID...");
    size_t size = 0, row = (size_t)count - 2;
    void *bytes = contents(arguments[1], &size);
    if (!bytes) return fail(arguments[1], "cannot be read");

    tg_model *model = NULL;
    tg_workspace *workspace = NULL;
    int64_t length = (int64_t)row, *ids = malloc(row * sizeof *ids);
    float *probabilities = NULL;
    int status = ids ? tg_open(bytes, size, TG_BEST, &model) : TG_NO_MEMORY;
    if (status == TG_OK) status = tg_new_workspace(model, &workspace);
    if (status == TG_OK) {
        for (size_t i = 0; i < row; i++) ids[i] = strtoll(arguments[i + 2], NULL, 10);
        probabilities = malloc(tg_labels(model) * sizeof *probabilities);
        status = probabilities ? tg_run(model, workspace, ids, row, &length, 1, NULL, NULL, probabilities)
                               : TG_NO_MEMORY;
    }
    for (size_t i = 0; status == TG_OK && i < tg_labels(model); i++) printf("%.9g\n", probabilities[i]);

    free(probabilities);
    free(ids);
    tg_free_workspace(workspace);
    tg_close(model); /* the bytes must outlive the model */
    free(bytes);
    return status == TG_OK ? 0 : fail(arguments[1], tg_message(status));
}
