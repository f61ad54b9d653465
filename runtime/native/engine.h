/* What the parts of the engine share. The interface is in textgate_engine.h. */
#ifndef TEXTGATE_ENGINE_PARTS_H
#define TEXTGATE_ENGINE_PARTS_H

#include <stdbool.h>
#include <string.h>

#include "textgate_engine.h"

enum { LANES = 16 };        /* float32 that are computed together, whatever the instruction set */
enum { TEXTS = 4 };         /* texts in lockstep */
enum { BLOCK = 64 };        /* rows whose input products are computed together */
enum { MAX_LAYERS = 64 };
enum { MAX_VECTORS = 4 };  /* of a panel */

enum { RNN, LSTM, GRU };
enum { FLOAT32, INT8, NIBBLES };
enum { LAST, MAX, MEAN, ATTENTION };

#define LOWEST (-1e30f) /* below every state and score: where maxima begin */
#define HELD 30.0f      /* the cells of the graph's anchors */

/* One direction of a recurrent layer.
 *
 * Outputs are computed in panels of `vectors` times 16. In a panel of an LSTM or GRU, a vector is one
 * gate of the same 16 units; in a panel of an RNN, it is 16 units. Weights lie in the order of use:
 * int8 [panel][four inputs][vector][16][4], float32 [panel][input][vector][16]. What belongs to
 * outputs (scales, biases, starts) is [panel][vector][16].
 */
typedef struct {
    const void *input, *recurrent;                     /* weights, int8 or float32 */
    const int32_t *input_start, *recurrent_start;      /* sums of products start here: zero points */
    int input_narrow, recurrent_narrow; /* whether the int8 weights have 7 bits, as product8 wants to know */
    const float *input_scale, *recurrent_scale;
    const float *bias;           /* of both products, but for a GRU's new state the input's */
    const float *recurrent_bias; /* of the recurrent product alone, 0 but for a GRU's new state */
} Direction;

typedef struct {
    bool integer;
    bool gives_bytes, gives_floats; /* what is kept of every step */
    size_t units, inputs;
    size_t width;        /* of a direction's states: units and padding, a multiple of 16 */
    size_t input_width;  /* of a row it reads */
    size_t input_groups, recurrent_groups; /* of four int8 inputs, or of one float32 input */
    size_t panels, vectors;
    int anchors; /* of its states in the exported graph: 2 or 0 */
    Direction direction[2];
} Layer;

typedef struct {
    size_t units, inputs; /* inputs are a multiple of 16 */
    int kind;             /* FLOAT32 or INT8 */
    const void *weight;   /* [units][inputs] */
    const float *scale, *bias;
} Dense;

typedef struct {
    size_t columns, token_rows, bigram_rows;
    int kind;
    const void *tokens, *bigrams;
    const uint8_t *fingerprints, *token_weights, *bigram_weights;
    const float *projection;
} Linear;

struct tg_model {
    int instructions, cell;
    size_t layers, directions;
    size_t vocabulary, columns; /* of the embedding */
    int embedding;
    const void *table;
    const float *row_scale;
    float low_step, high_step; /* the first layer's rounded input, before the zero point is added */
    float input_step;          /* what one is worth */
    int input_zero;
    size_t poolings;
    int pooling[4];
    const float *attention; /* [directions][width] */
    size_t dense_layers;
    bool sigmoids;
    float inverse_temperature;
    Linear linear;
    size_t state_size;
    size_t widest;  /* of a layer's states, both directions */
    size_t widest_dense;
    Layer layer[MAX_LAYERS];
    Dense dense[MAX_LAYERS];
    struct Piece *memory;
};

/* What one group of texts needs. Arrays of a text's own are [TEXTS] times that. */
struct tg_workspace {
    size_t rows;        /* of a segment: tokens of all its texts together */
    void *grown;        /* rows of a segment */
    size_t grown_bytes;
    uint8_t *read8, *given8[2]; /* [rows][input_width] and [rows][directions][width] */
    float *readf, *givenf[2];
    float *row_scale;   /* [rows] */
    size_t *order;      /* [max_texts] */
    size_t max_texts;
    void *fixed;
    uint8_t *state8;    /* [layer][direction][TEXTS][width] */
    float *statef, *cell;
    float *sums;        /* input products of a block [BLOCK][panel][vector][16] */
    void *products;     /* recurrent products of a step [panel][TEXTS][vector][16] */
    float *pooled, *pool; /* [TEXTS][pooling][directions][width]; the second may hold sums so far */
    float *scores;      /* [TEXTS][3]: attention's largest score and normalizer; tokens read */
    float *dense[2];    /* [widest_dense] */
    float *linear;      /* [TEXTS][2 * columns + 2]: sums, then squared weights and the last id */
};

/* What is computed in the quickest way a processor has: one for each instruction set. */
typedef int (*Forward)(const tg_model *, tg_workspace *, const int64_t *const *ids,
                       const size_t *lengths, size_t texts, const float *const *state,
                       float *const *next_state, float *const *probabilities);

int tg_forward_portable(const tg_model *, tg_workspace *, const int64_t *const *, const size_t *,
                        size_t, const float *const *, float *const *, float *const *);
int tg_forward_avx2(const tg_model *, tg_workspace *, const int64_t *const *, const size_t *, size_t,
                    const float *const *, float *const *, float *const *);
int tg_forward_avx_vnni(const tg_model *, tg_workspace *, const int64_t *const *, const size_t *,
                        size_t, const float *const *, float *const *, float *const *);
int tg_forward_avx512(const tg_model *, tg_workspace *, const int64_t *const *, const size_t *,
                      size_t, const float *const *, float *const *, float *const *);
int tg_forward_neon(const tg_model *, tg_workspace *, const int64_t *const *, const size_t *, size_t,
                    const float *const *, float *const *, float *const *);
int tg_forward_dotprod(const tg_model *, tg_workspace *, const int64_t *const *, const size_t *,
                       size_t, const float *const *, float *const *, float *const *);
int tg_forward_simd128(const tg_model *, tg_workspace *, const int64_t *const *, const size_t *,
                       size_t, const float *const *, float *const *, float *const *);

/* Make room for the rows of a segment. */
int tg_grow(const tg_model *, tg_workspace *, size_t rows);

/* Which of these are compiled. GCC before 11 and Clang before 12 do not know AVX-VNNI. */
#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#define HAVE_X86 1
#if (defined(__clang__) && __clang_major__ >= 12) || (!defined(__clang__) && __GNUC__ >= 11)
#define HAVE_AVX_VNNI 1
#endif
#elif defined(__aarch64__) && (defined(__GNUC__) || defined(__clang__))
#define HAVE_NEON 1
#elif defined(__wasm_simd128__)
#define HAVE_SIMD128 1
#if defined(__wasm_relaxed_simd__)
#define HAVE_RELAXED_SIMD 1
#endif

/* Return whether the relaxed instructions do what the engine needs: multiply-adds round once, and products of
 * bytes are added exactly. If not, take the module without relaxed SIMD. */
TG_API int tg_is_exact(void);
#endif

#endif
