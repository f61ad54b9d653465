/* Opening models, making workspaces, and choosing the forward pass of the processor. */
#include "engine.h"

#include <stdlib.h>

#if HAVE_NEON && defined(__linux__)
#include <sys/auxv.h>
#endif

enum { MAGIC = 0x31454754 };
enum { ALIGNMENT = 64 };
#define MAX_SIZE ((int32_t)1 << 24)   /* of every size in the header */
#define MAX_INPUTS ((size_t)1 << 15)  /* of an int8 layer: no partial sum of 255 * 127 each, less a zero point, overflows */
#define MAX_FLOAT 3.4028234e38f

static size_t rounded(size_t value, size_t step) { return (value + step - 1) / step * step; }

/* Memory of a model: pieces in a list, each 64 bytes aligned and all zero. */

typedef struct Piece {
    struct Piece *next;
    void *from;
} Piece;

static void *aligned(void *from) { return (void *)(((uintptr_t)from + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT); }

/* Return count * size bytes of zeros, or NULL. */
static void *piece(tg_model *m, size_t count, size_t size)
{
    if (count > (SIZE_MAX / 2) / size) return NULL;
    Piece *piece = calloc(1, sizeof *piece);
    if (!piece) return NULL;
    piece->from = calloc(1, count * size + ALIGNMENT);
    if (!piece->from) {
        free(piece);
        return NULL;
    }
    piece->next = m->memory;
    m->memory = piece;
    return aligned(piece->from);
}

/* The model's bytes. */

typedef struct {
    const uint8_t *bytes;
    size_t size, offset;
    int status;
} Reader;

/* Return `count` items of `width` bytes at the next multiple of 64; NULL if there are not as many. */
static const void *tensor(Reader *reader, size_t count, size_t width)
{
    size_t start = rounded(reader->offset, ALIGNMENT);
    if (reader->status != TG_OK) return NULL;
    if (start > reader->size || count > (reader->size - start) / width) {
        reader->status = TG_BAD_MODEL;
        return NULL;
    }
    reader->offset = start + count * width;
    return reader->bytes + start;
}

/* Return float32 of which all are finite. */
static const float *floats(Reader *reader, size_t count)
{
    const float *found = tensor(reader, count, sizeof *found);
    for (size_t i = 0; found && i < count; i++) {
        if (!(found[i] >= -MAX_FLOAT && found[i] <= MAX_FLOAT)) {
            reader->status = TG_BAD_NUMBER;
            return NULL;
        }
    }
    return found;
}

/* Return int8 of which all are from -most to most. */
static const int8_t *whole(Reader *reader, size_t count, int most)
{
    const int8_t *found = tensor(reader, count, 1);
    int bad = 0;
    for (size_t i = 0; found && i < count; i++) bad |= found[i] < -most || found[i] > most;
    if (bad) {
        reader->status = TG_BAD_NUMBER;
        return NULL;
    }
    return found;
}

/* Return the row of the weights that belongs to a position in a panel, or -1 for padding. */
static ptrdiff_t row_at(const tg_model *m, const Layer *layer, size_t panel, size_t vector, size_t lane)
{
    size_t unit = m->cell == RNN ? (panel * layer->vectors + vector) * LANES + lane : panel * LANES + lane;
    if (unit >= layer->units) return -1;
    return (ptrdiff_t)(m->cell == RNN ? unit : vector * layer->units + unit);
}

/* Return the column of the weights that belongs to an input, or -1 for padding. */
static ptrdiff_t column_at(size_t units, size_t width, size_t input)
{
    size_t direction = input / width, unit = input % width;
    return unit < units ? (ptrdiff_t)(direction * units + unit) : -1;
}

/* What one matrix of a layer is packed from. */
typedef struct {
    const void *weights; /* [rows][columns] */
    size_t columns;      /* meaningful ones */
    size_t groups;       /* of the packed inputs */
    size_t units, width; /* of each direction of what it reads */
    int offset;          /* is added to every packed weight */
} Matrix;

/* Return whether int8 weights have 7 bits, for `product8`. Relaxed SIMD takes those that lie from 0 to 127 once
 * 64 is added, which what `export` writes does. */
static int narrow(const tg_model *m, const Layer *layer, Matrix *matrix)
{
    if (!layer->integer || m->cell != LSTM) return 0;
#if HAVE_RELAXED_SIMD
    const int8_t *weights = matrix->weights;
    for (size_t i = 0; i < layer->vectors * layer->units * matrix->columns; i++) {
        if (weights[i] > 63) return 0;
    }
    matrix->offset = 64;
#else
    (void)matrix;
#endif
    return 1;
}

static const void *packed(tg_model *m, const Layer *layer, const Matrix *matrix)
{
    size_t each = layer->integer ? 4 : 1;
    size_t count = layer->panels * matrix->groups * layer->vectors * LANES * each;
    void *to = piece(m, count, layer->integer ? 1 : sizeof(float));
    if (!to) return NULL;
    memset(to, matrix->offset, layer->integer ? count : 0);
    size_t offset = 0;
    for (size_t panel = 0; panel < layer->panels; panel++) {
        for (size_t group = 0; group < matrix->groups; group++) {
            for (size_t i = 0; i < layer->vectors * LANES; i++) {
                ptrdiff_t row = row_at(m, layer, panel, i / LANES, i % LANES);
                for (size_t j = 0; j < each; j++, offset++) {
                    ptrdiff_t column = column_at(matrix->units, matrix->width, group * each + j);
                    if (row < 0 || column < 0 || (size_t)column >= matrix->columns) continue;
                    size_t from = (size_t)row * matrix->columns + (size_t)column;
                    if (layer->integer) ((int8_t *)to)[offset] = (int8_t)(((const int8_t *)matrix->weights)[from] + matrix->offset);
                    else ((float *)to)[offset] = ((const float *)matrix->weights)[from];
                }
            }
        }
    }
    return to;
}

/* Return where sums of integer products start: at what the activations' zero point adds, negated. */
static const int32_t *starts(tg_model *m, const Layer *layer, const Matrix *matrix, int zero)
{
    int32_t *to = piece(m, layer->panels * layer->vectors * LANES, sizeof *to);
    if (!to) return NULL;
    bool is_signed = m->instructions == TG_NEON || m->instructions == TG_NEON_DOTPROD;
    if (m->instructions == TG_AVX2 && m->cell != LSTM) is_signed = true;
    if (matrix->offset) is_signed = true;
    int32_t left = zero - (is_signed ? 128 : 0);
    for (size_t i = 0; i < layer->panels * layer->vectors * LANES; i++) {
        size_t panel = i / (layer->vectors * LANES), vector = i / LANES % layer->vectors;
        ptrdiff_t row = row_at(m, layer, panel, vector, i % LANES);
        if (row < 0) continue;
        const int8_t *weights = (const int8_t *)matrix->weights + (size_t)row * matrix->columns;
        int32_t sum = 0;
        for (size_t j = 0; j < matrix->columns; j++) sum += weights[j];
        to[i] = -left * sum;
    }
    return to;
}

/* Return what belongs to outputs in the order of panels: values[row] * factor, plus more[row]. */
static const float *by_panel(tg_model *m, const Layer *layer, const float *values, float factor, const float *more)
{
    float *to = piece(m, layer->panels * layer->vectors * LANES, sizeof *to);
    if (!to) return NULL;
    for (size_t i = 0; i < layer->panels * layer->vectors * LANES; i++) {
        size_t panel = i / (layer->vectors * LANES), vector = i / LANES % layer->vectors;
        ptrdiff_t row = row_at(m, layer, panel, vector, i % LANES);
        if (row < 0) continue;
        to[i] = values[row] * factor;
        if (more && !(m->cell == GRU && vector == 2)) to[i] += more[row];
    }
    return to;
}

static int read_direction(tg_model *m, Reader *reader, size_t l, Layer *layer, Direction *way)
{
    const Layer *below = l ? &m->layer[l - 1] : NULL;
    size_t gates = m->cell == LSTM ? 4 : m->cell == GRU ? 3 : 1, outputs = gates * layer->units;
    int most = m->cell == LSTM ? 64 : 127;
    const void *weights[2];
    size_t columns[2] = {layer->inputs, layer->units};
    for (int i = 0; i < 2; i++) {
        /* outputs and columns are below 2 ** 31: their product fits in 64 bits, not in 32 */
        if (columns[i] > SIZE_MAX / sizeof(float) / outputs) return TG_NO_MEMORY;
        if (layer->integer) weights[i] = whole(reader, outputs * columns[i], most);
        else weights[i] = floats(reader, outputs * columns[i]);
    }
    const float *input_scale = layer->integer ? floats(reader, outputs) : NULL;
    const float *recurrent_scale = layer->integer ? floats(reader, outputs) : NULL;
    const float *input_bias = floats(reader, outputs), *recurrent_bias = floats(reader, outputs);
    if (reader->status != TG_OK) return reader->status;

    Matrix input = {weights[0], layer->inputs, layer->input_groups, below ? below->units : m->columns,
                    below ? below->width : rounded(m->columns, LANES), 0};
    Matrix recurrent = {weights[1], layer->units, layer->recurrent_groups, layer->units, layer->width, 0};
    way->input_narrow = narrow(m, layer, &input);
    way->recurrent_narrow = narrow(m, layer, &recurrent);
    way->input = packed(m, layer, &input);
    way->recurrent = packed(m, layer, &recurrent);
    way->bias = by_panel(m, layer, input_bias, 1.0f, recurrent_bias);
    way->recurrent_bias = by_panel(m, layer, recurrent_bias, 1.0f, NULL);
    if (!way->input || !way->recurrent || !way->bias || !way->recurrent_bias) return TG_NO_MEMORY;
    if (!layer->integer) return TG_OK;
    float state_step = m->cell == LSTM ? 2.0f / 255.0f : 1.0f / 127.0f;
    int state_zero = m->cell == LSTM ? 127 : 128;
    float input_step = l ? state_step : m->cell == LSTM ? m->input_step : 1.0f;
    int input_zero = l ? state_zero : m->cell == LSTM ? m->input_zero : 128;
    way->input_start = starts(m, layer, &input, input_zero);
    way->recurrent_start = starts(m, layer, &recurrent, state_zero);
    way->input_scale = by_panel(m, layer, input_scale, input_step, NULL);
    way->recurrent_scale = by_panel(m, layer, recurrent_scale, state_step, NULL);
    if (!way->input_start || !way->recurrent_start || !way->input_scale || !way->recurrent_scale) return TG_NO_MEMORY;
    return TG_OK;
}

static int read_layers(tg_model *m, Reader *reader, const int32_t *units, const int32_t *integer)
{
    for (size_t l = 0; l < m->layers; l++) {
        Layer *layer = &m->layer[l];
        const Layer *below = l ? &m->layer[l - 1] : NULL;
        size_t panel = m->cell == RNN ? 4 * LANES : LANES;
        layer->integer = integer[l] != 0;
        layer->units = (size_t)units[l];
        layer->width = rounded(layer->units, panel);
        layer->panels = layer->width / panel;
        layer->vectors = m->cell == GRU ? 3 : 4;
        layer->anchors = m->cell == LSTM && layer->integer ? 2 : 0;
        layer->inputs = below ? m->directions * below->units : m->columns;
        layer->input_width = below ? m->directions * below->width : rounded(m->columns, LANES);
        size_t inputs = m->directions == 2 && below ? layer->input_width : layer->inputs;
        layer->input_groups = layer->integer ? (inputs + 3) / 4 : inputs;
        layer->recurrent_groups = layer->integer ? (layer->units + 3) / 4 : layer->units;
        layer->gives_bytes = layer->integer || (l + 1 < m->layers && integer[l + 1]);
        layer->gives_floats = !layer->integer || (l + 1 < m->layers && !integer[l + 1]);
        if (l + 1 == m->layers) {
            for (size_t p = 0; p < m->poolings; p++) layer->gives_floats |= m->pooling[p] != LAST;
        }
        if (layer->integer && (inputs > MAX_INPUTS || layer->units > MAX_INPUTS)) return TG_BAD_MODEL;
        if (layer->width > m->widest) m->widest = layer->width;
        for (size_t d = 0; d < m->directions; d++) {
            int status = read_direction(m, reader, l, layer, &layer->direction[d]);
            if (status != TG_OK) return status;
        }
    }
    return TG_OK;
}

static int read_head(tg_model *m, Reader *reader, const int32_t *units, int last_kind)
{
    const Layer *last = &m->layer[m->layers - 1];
    size_t width = m->directions * last->width, wide = m->directions * last->units;
    for (size_t p = 0; p < m->poolings; p++) {
        if (m->pooling[p] != ATTENTION || m->attention) continue;
        const float *attention = floats(reader, wide);
        float *to = piece(m, width, sizeof *to);
        if (!attention || !to) return attention ? TG_NO_MEMORY : reader->status;
        for (size_t i = 0; i < width; i++) {
            ptrdiff_t column = column_at(last->units, last->width, i);
            if (column >= 0) to[i] = attention[column];
        }
        m->attention = to;
    }
    size_t inputs = m->poolings * width, meaningful = m->poolings * wide;
    for (size_t i = 0; i < m->dense_layers; i++) {
        Dense *dense = &m->dense[i];
        dense->units = (size_t)units[i];
        dense->inputs = rounded(inputs, LANES);
        dense->kind = i + 1 == m->dense_layers ? last_kind : FLOAT32;
        size_t bytes = dense->kind == INT8 ? 1 : sizeof(float);
        if (dense->inputs > SIZE_MAX / 8 / dense->units) return TG_NO_MEMORY;
        const uint8_t *from = dense->kind == INT8 ? (const void *)whole(reader, dense->units * meaningful, 127)
                                                  : (const void *)floats(reader, dense->units * meaningful);
        dense->scale = dense->kind == INT8 ? floats(reader, dense->units) : NULL;
        dense->bias = floats(reader, dense->units);
        if (reader->status != TG_OK) return reader->status;
        uint8_t *to = piece(m, dense->units * dense->inputs, bytes);
        if (!to) return TG_NO_MEMORY;
        dense->weight = to;
        for (size_t j = 0; j < dense->inputs; j++) {
            /* of every pooling every direction, of which the padding stays 0 */
            ptrdiff_t column = i ? (ptrdiff_t)j : column_at(last->units, last->width, j);
            if (column < 0 || (size_t)column >= meaningful) continue;
            for (size_t unit = 0; unit < dense->units; unit++)
                memcpy(to + (unit * dense->inputs + j) * bytes, from + (unit * meaningful + (size_t)column) * bytes, bytes);
        }
        inputs = meaningful = dense->units;
        if (dense->units > m->widest_dense) m->widest_dense = dense->units;
    }
    return TG_OK;
}

static int read_linear(tg_model *m, Reader *reader)
{
    Linear *linear = &m->linear;
    if (!linear->columns) return TG_OK;
    size_t labels = m->dense[m->dense_layers - 1].units;
    linear->fingerprints = tensor(reader, linear->bigram_rows, 1);
    size_t tokens = linear->token_rows * linear->columns, bigrams = linear->bigram_rows * linear->columns;
    linear->tokens = linear->kind == INT8 ? tensor(reader, tokens, 1) : (const void *)floats(reader, tokens);
    linear->token_weights = tensor(reader, linear->token_rows, 1);
    linear->bigrams = linear->kind == INT8 ? tensor(reader, bigrams, 1) : (const void *)floats(reader, bigrams);
    linear->bigram_weights = tensor(reader, linear->bigram_rows, 1);
    linear->projection = floats(reader, 2 * linear->columns * labels);
    return reader->status;
}

static float as_float(int32_t word)
{
    float value;
    memcpy(&value, &word, sizeof value);
    return value;
}

static bool is_size(int32_t word) { return word >= 1 && word <= MAX_SIZE; }

/* Return whether a header's numbers are in range; what they come to is bounded by the tensors. */
static bool is_header(const int32_t *word, size_t words)
{
    if (word[3] < RNN || word[3] > GRU || word[4] < 1 || word[4] > MAX_LAYERS) return false;
    if (word[5] < 1 || word[5] > 2 || !is_size(word[6]) || !is_size(word[7])) return false;
    if (word[8] < FLOAT32 || word[8] > NIBBLES || word[9] < 1 || word[9] > 4) return false;
    for (int i = 0; i < 4; i++) {
        if (word[10 + i] < 0 || word[10 + i] > (i < word[9] ? ATTENTION : 0)) return false;
        for (int j = 0; j < i && i < word[9]; j++) {
            if (word[10 + i] == word[10 + j]) return false;
        }
    }
    if (word[14] < 1 || word[14] > MAX_LAYERS || (word[15] & ~1) || (word[16] & ~1) || (word[21] & ~1)) return false;
    if (!(as_float(word[17]) > 0.0f && as_float(word[17]) <= MAX_FLOAT)) return false;
    for (int i = 19; i < 21; i++) {
        if (word[18] ? !is_size(word[i]) : word[i] != 0) return false;
    }
    if (word[18] && !is_size(word[18])) return false;
    if (words != 24 + 2 * (size_t)word[4] + (size_t)word[14]) return false;
    for (size_t i = 24; i < words; i++) {
        bool is_kind = i >= 24 + (size_t)word[4] && i < 24 + 2 * (size_t)word[4];
        if (is_kind ? (word[i] & ~1) != 0 : !is_size(word[i])) return false;
    }
    bool integer = word[24 + word[4]] == INT8;
    if (integer && word[3] != LSTM && word[8] == FLOAT32) return false; /* nothing bounds what it reads */
    float low = as_float(word[22]), high = as_float(word[23]);
    if (integer && word[3] == LSTM) {
        if (!(low >= -1e30f && low <= 0.0f && high >= 0.0f && high <= 1e30f && high - low > 1e-30f)) return false;
    } else if (word[22] || word[23]) {
        return false;
    }
    return true;
}

static int read_model(tg_model *m, const void *bytes, size_t size)
{
    const int32_t *word = bytes;
    if (size < 24 * sizeof *word || (uintptr_t)bytes % sizeof *word) return TG_BAD_MODEL;
    if (word[0] != MAGIC || word[1] != TG_VERSION || word[2] < 24 || (size_t)word[2] > size / sizeof *word) return TG_BAD_MODEL;
    if (!is_header(word, (size_t)word[2])) return TG_BAD_MODEL;
    m->cell = word[3];
    m->layers = (size_t)word[4];
    m->directions = (size_t)word[5];
    m->vocabulary = (size_t)word[6];
    m->columns = (size_t)word[7];
    m->embedding = word[8];
    m->poolings = (size_t)word[9];
    for (size_t i = 0; i < m->poolings; i++) m->pooling[i] = word[10 + i];
    m->dense_layers = (size_t)word[14];
    m->sigmoids = word[16] != 0;
    m->inverse_temperature = as_float(word[17]);
    m->linear = (Linear){.columns = (size_t)word[18], .token_rows = (size_t)word[19], .bigram_rows = (size_t)word[20], .kind = word[21]};
    const int32_t *units = word + 24, *integer = units + m->layers, *dense = integer + m->layers;
    if (m->cell == LSTM && integer[0]) { /* ONNX Runtime's way from a range to a step and a zero point */
        float low = as_float(word[22]), high = as_float(word[23]);
        m->input_step = (high - low) / 255.0f;
        float zero = -low / m->input_step, below = (float)(int)zero, rest = zero - below;
        int to_even = (int)below & 1;
        m->input_zero = (int)below + (rest > 0.5f || (rest == 0.5f && to_even));
        m->low_step = (float)-m->input_zero;
        m->high_step = (float)(255 - m->input_zero);
    }

    Reader reader = {bytes, size, (size_t)word[2] * sizeof *word, TG_OK};
    size_t rows = m->vocabulary, cells = rows * m->columns;
    if (m->embedding == FLOAT32) m->table = floats(&reader, cells);
    else if (m->embedding == INT8) m->table = whole(&reader, cells, 127);
    else m->table = tensor(&reader, rows * ((m->columns + 1) / 2), 1);
    if (m->embedding == NIBBLES) m->row_scale = floats(&reader, rows);
    if (reader.status != TG_OK) return reader.status;
    int status = read_layers(m, &reader, units, integer);
    if (status == TG_OK) status = read_head(m, &reader, dense, word[15]);
    if (status == TG_OK) status = read_linear(m, &reader);
    if (status == TG_OK && reader.offset != size) status = TG_BAD_MODEL;
    if (status != TG_OK || m->directions == 2) return status;

    for (size_t l = 0; l < m->layers; l++) {
        size_t states = m->cell == LSTM ? 2 : 1;
        m->state_size += states * (m->layer[l].units + (size_t)m->layer[l].anchors);
    }
    const Layer *last = &m->layer[m->layers - 1];
    for (size_t p = 0; p < m->poolings; p++) {
        static const size_t MORE[4] = {0, 0, 1, 2};
        if (m->pooling[p] != LAST) m->state_size += last->units + (size_t)last->anchors + MORE[m->pooling[p]];
    }
    if (m->linear.columns) m->state_size += 2 * m->linear.columns + 2;
    return TG_OK;
}

/* Instruction sets. */

static const char *const NAMES[TG_INSTRUCTION_SETS] = {"portable", "avx2", "avx-vnni", "avx512-vnni", "neon", "neon-dotprod", "simd128"};

#if HAVE_X86
#include <cpuid.h>

static uint64_t enabled_registers(void)
{
    uint32_t low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

static bool x86_has(int instructions)
{
    unsigned a, b, c, d, b7, c7, d7, a71 = 0;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return false;
    const unsigned fma = 1u << 12, saving = 1u << 27, avx = 1u << 28;
    if ((c & (fma | saving | avx)) != (fma | saving | avx)) return false;
    uint64_t registers = enabled_registers();
    if ((registers & 0x6) != 0x6) return false; /* the system keeps SSE and AVX */
    if (!__get_cpuid_count(7, 0, &a, &b7, &c7, &d7)) return false;
    if (!(b7 & (1u << 5))) return false; /* AVX2 */
    if (instructions == TG_AVX2) return true;
    if (instructions == TG_AVX_VNNI) {
#if HAVE_AVX_VNNI
        return a >= 1 && __get_cpuid_count(7, 1, &a71, &b, &c, &d) && (a71 & (1u << 4));
#else
        return false;
#endif
    }
    const unsigned parts = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31; /* F, DQ, BW, VL */
    return (registers & 0xE6) == 0xE6 && (b7 & parts) == parts && (c7 & (1u << 11));
}
#endif

int tg_has(int instructions)
{
#if HAVE_SIMD128 /* without it, a browser refuses the whole module */
    return instructions == TG_SIMD128;
#endif
    if (instructions == TG_PORTABLE) return 1;
#if HAVE_X86
    if (instructions >= TG_AVX2 && instructions <= TG_AVX512_VNNI) return x86_has(instructions);
#endif
#if HAVE_NEON
    if (instructions == TG_NEON) return 1;
#if defined(__linux__)
    if (instructions == TG_NEON_DOTPROD) return (getauxval(AT_HWCAP) >> 20 & 1) != 0; /* HWCAP_ASIMDDP */
#elif defined(__APPLE__)
    if (instructions == TG_NEON_DOTPROD) return 1; /* every 64-bit Mac */
#endif
#endif
    return 0;
}

static Forward forward_of(int instructions)
{
    switch (instructions) {
#if HAVE_X86
    case TG_AVX2: return tg_forward_avx2;
#if HAVE_AVX_VNNI
    case TG_AVX_VNNI: return tg_forward_avx_vnni;
#endif
    case TG_AVX512_VNNI: return tg_forward_avx512;
#endif
#if HAVE_NEON
    case TG_NEON: return tg_forward_neon;
    case TG_NEON_DOTPROD: return tg_forward_dotprod;
#endif
#if HAVE_SIMD128
    default: return tg_forward_simd128;
#else
    default: return tg_forward_portable;
#endif
    }
}

/* The interface. */

int tg_version(void) { return TG_VERSION; }

const char *tg_message(int status)
{
    static const char *const MESSAGES[] = {
        "done",
        "there is not enough memory",
        "the model's bytes are damaged or of another version",
        "a weight, a scale or a bias is not finite or out of range",
        "this processor or build does not have the instruction set",
        "a token id is outside the vocabulary",
        "a text has no token, or more than its row of ids",
        "a state is not one that the engine gave",
        "the weights give numbers that are no probabilities",
    };
    return status >= 0 && status <= TG_NO_PROBABILITIES ? MESSAGES[status] : "unknown status";
}

const char *tg_instructions_name(int instructions)
{
    return instructions >= 0 && instructions < TG_INSTRUCTION_SETS ? NAMES[instructions] : NULL;
}

int tg_open(const void *bytes, size_t size, int instructions, tg_model **model)
{
    *model = NULL;
    if (instructions == TG_BEST) {
        instructions = TG_INSTRUCTION_SETS - 1;
        while (!tg_has(instructions)) instructions--;
    }
    if (!tg_has(instructions)) return TG_NO_INSTRUCTIONS;
    tg_model *m = calloc(1, sizeof *m);
    if (!m) return TG_NO_MEMORY;
    m->instructions = instructions;
    int status = read_model(m, bytes, size);
    if (status != TG_OK) tg_close(m);
    else *model = m;
    return status;
}

void tg_close(tg_model *m)
{
    while (m && m->memory) {
        Piece *piece = m->memory;
        m->memory = piece->next;
        free(piece->from);
        free(piece);
    }
    free(m);
}

int tg_instructions(const tg_model *m) { return m->instructions; }
size_t tg_labels(const tg_model *m) { return m->dense[m->dense_layers - 1].units; }
size_t tg_vocabulary(const tg_model *m) { return m->vocabulary; }
size_t tg_state_size(const tg_model *m) { return m->state_size; }

/* Lays arrays out in one piece of memory: first their sizes are added up, then they get offsets. */
typedef struct {
    uint8_t *from;
    size_t bytes;
    bool too_large;
} Layout;

static void *laid(Layout *layout, size_t count, size_t size)
{
    size_t offset = layout->bytes;
    if (count > (SIZE_MAX / 4 - offset) / size) layout->too_large = true;
    else layout->bytes = rounded(offset + count * size, ALIGNMENT);
    return layout->from ? layout->from + offset : NULL;
}

static void lay_fixed(const tg_model *m, tg_workspace *w, Layout *layout)
{
    size_t states = m->layers * m->directions * TEXTS * m->widest, panels = 0;
    for (size_t l = 0; l < m->layers; l++) {
        size_t outputs = m->layer[l].panels * m->layer[l].vectors * LANES;
        panels = outputs > panels ? outputs : panels;
    }
    size_t pooled = m->poolings * m->directions * m->layer[m->layers - 1].width;
    w->state8 = laid(layout, states, 1);
    w->statef = laid(layout, states, sizeof(float));
    w->cell = laid(layout, states, sizeof(float));
    w->sums = laid(layout, BLOCK * panels, sizeof(float));
    w->products = laid(layout, TEXTS * panels, sizeof(float));
    w->pooled = laid(layout, pooled, sizeof(float));
    w->pool = laid(layout, TEXTS * pooled, sizeof(float));
    w->scores = laid(layout, TEXTS * 3, sizeof(float));
    w->dense[0] = laid(layout, rounded(m->widest_dense, LANES), sizeof(float));
    w->dense[1] = laid(layout, rounded(m->widest_dense, LANES), sizeof(float));
    w->linear = laid(layout, TEXTS * (2 * m->linear.columns + 2), sizeof(float));
}

static void lay_rows(const tg_model *m, tg_workspace *w, Layout *layout, size_t rows)
{
    const Layer *first = &m->layer[0];
    size_t bytes[2] = {0, 0}, reals[2] = {0, 0};
    for (size_t l = 0; l < m->layers; l++) {
        const Layer *layer = &m->layer[l];
        size_t width = m->directions * layer->width;
        if (layer->gives_bytes && width > bytes[l & 1]) bytes[l & 1] = width;
        if (layer->gives_floats && width > reals[l & 1]) reals[l & 1] = width;
    }
    if (rows > SIZE_MAX / 64 / (first->input_width + bytes[0] + bytes[1] + reals[0] + reals[1] + 1)) {
        layout->too_large = true;
        return;
    }
    w->read8 = laid(layout, first->integer ? rows * first->input_width : 0, 1);
    w->readf = laid(layout, first->integer ? 0 : rows * first->input_width, sizeof(float));
    for (int i = 0; i < 2; i++) {
        w->given8[i] = laid(layout, rows * bytes[i], 1);
        w->givenf[i] = laid(layout, rows * reals[i], sizeof(float));
    }
    w->row_scale = laid(layout, rows, sizeof(float));
}

int tg_grow(const tg_model *m, tg_workspace *w, size_t rows)
{
    Layout layout = {0};
    tg_workspace tried = *w;
    lay_rows(m, &tried, &layout, rows);
    if (layout.too_large) return TG_NO_MEMORY;
    void *grown = calloc(1, layout.bytes + ALIGNMENT);
    if (!grown) return TG_NO_MEMORY;
    free(w->grown);
    w->grown = grown;
    layout = (Layout){.from = aligned(grown)};
    lay_rows(m, w, &layout, rows);
    w->rows = rows;
    return TG_OK;
}

int tg_new_workspace(const tg_model *m, tg_workspace **workspace)
{
    *workspace = NULL;
    tg_workspace *w = calloc(1, sizeof *w);
    if (!w) return TG_NO_MEMORY;
    Layout layout = {0};
    lay_fixed(m, w, &layout);
    w->fixed = layout.too_large ? NULL : calloc(1, layout.bytes + ALIGNMENT);
    if (!w->fixed || tg_grow(m, w, BLOCK) != TG_OK) {
        tg_free_workspace(w);
        return TG_NO_MEMORY;
    }
    layout = (Layout){.from = aligned(w->fixed)};
    lay_fixed(m, w, &layout);
    *workspace = w;
    return TG_OK;
}

void tg_free_workspace(tg_workspace *w)
{
    if (!w) return;
    free(w->grown);
    free(w->fixed);
    free(w->order);
    free(w);
}

/* Put the indices of texts in order of length, the longest first; few are out of order as a rule. */
static void sort_by_length(size_t *order, const int64_t *lengths, size_t texts)
{
    for (size_t gap = texts / 2 ? texts / 2 : 1; gap; gap /= 2) { /* Shell 1959 */
        for (size_t i = gap; i < texts; i++) {
            size_t index = order[i], j = i;
            for (; j >= gap && lengths[order[j - gap]] < lengths[index]; j -= gap) order[j] = order[j - gap];
            order[j] = index;
        }
    }
}

static int check(const tg_model *m, const int64_t *ids, size_t row, const int64_t *lengths, size_t texts, const float *state)
{
    for (size_t i = 0; i < texts; i++) {
        if (lengths[i] < 1 || (uint64_t)lengths[i] > row) return TG_BAD_LENGTH;
        const int64_t *text = ids + i * row;
        uint64_t most = 0;
        for (size_t t = 0; t < (size_t)lengths[i]; t++) most = (uint64_t)text[t] > most ? (uint64_t)text[t] : most;
        if (most >= m->vocabulary) return TG_BAD_ID;
        if (state && m->linear.columns) {
            float previous = state[(i + 1) * m->state_size - 2 * m->linear.columns - 2];
            if (!(previous >= 0.0f && previous < (float)m->vocabulary)) return TG_BAD_STATE;
        }
    }
    return TG_OK;
}

int tg_run(const tg_model *m, tg_workspace *w, const int64_t *ids, size_t row, const int64_t *lengths, size_t texts,
           const float *state, float *next_state, float *probabilities)
{
    size_t labels = tg_labels(m);
    if ((state || next_state) && !m->state_size) return TG_BAD_STATE;
    int status = check(m, ids, row, lengths, texts, state);
    if (status != TG_OK) return status;
    if (texts > w->max_texts) {
        if (texts > SIZE_MAX / sizeof *w->order / 2) return TG_NO_MEMORY;
        size_t *order = realloc(w->order, texts * sizeof *order);
        if (!order) return TG_NO_MEMORY;
        w->order = order;
        w->max_texts = texts;
    }
    for (size_t i = 0; i < texts; i++) w->order[i] = i;
    sort_by_length(w->order, lengths, texts);
    Forward forward = forward_of(m->instructions);
    for (size_t first = 0; first < texts && status == TG_OK; first += TEXTS) {
        size_t some = texts - first < TEXTS ? texts - first : TEXTS, tokens[TEXTS];
        const int64_t *text[TEXTS];
        const float *from[TEXTS];
        float *to[TEXTS], *result[TEXTS];
        for (size_t r = 0; r < some; r++) {
            size_t index = w->order[first + r];
            text[r] = ids + index * row;
            tokens[r] = (size_t)lengths[index];
            from[r] = state ? state + index * m->state_size : NULL;
            to[r] = next_state ? next_state + index * m->state_size : NULL;
            result[r] = probabilities + index * labels;
        }
        status = forward(m, w, text, tokens, some, state ? from : NULL, next_state ? to : NULL, result);
    }
    return status;
}
