/* The forward pass, included once for each instruction set after what it is made of:
 *
 *     FORWARD         the name of the public function
 *     V               16 float32, with v_load, v_store, v_set, v_add, v_sub, v_mul, v_div, v_sqrt,
 *                     v_round, v_fma(a, b, c) = a * b + c in one rounding, v_power(whole) = 2 ** whole,
 *                     v_max(a, b) = a > b ? a : b, v_min(a, b) = a < b ? a : b
 *     v_integers      16 int32 as float32; v_int8: 16 int8 as float32
 *     v_store_bytes   16 float32 from 0 to 255, rounded to the nearest (ties to even), as uint8
 *     v_total         the sum of 16: halves are added, their halves, and so on
 *     product8        sums of products of uint8 and int8, exact
 *     PAIRS           1 if there are Pair, pair_begin, pair_add and pair_end: products of one row with
 *                     two panels, in parts
 *     FLOAT_ROWS      rows that product_f multiplies together: 1, or 4 where registers abound
 *     ACTIVATION      how tanh and the sigmoid are declared, INLINE unless defined
 *     OWN_CHAINS      defined if there are C, c_of, c_set, c_fma and v_of: another form of V for chains of
 *                     multiply-adds that stay away from denormal numbers
 *
 * Every float32 operation below has one order, which no instruction set changes.
 */

#ifndef PAIRS
#define PAIRS 0
#endif
#ifndef OWN_CHAINS
typedef V C;
#define c_of(x) (x)
#define c_set v_set
#define c_fma v_fma
#define v_of(x) (x)
#endif
#ifndef INLINE /* sanitizers take too long with it */
#define INLINE static inline __attribute__((always_inline))
#endif
#ifndef ACTIVATION
#define ACTIVATION INLINE
#endif

/* A part of the texts of a group: all of it, or for one direction as many tokens as fit. */
typedef struct {
    size_t texts; /* that have tokens in it; the longest first */
    size_t begin[TEXTS], steps[TEXTS]; /* their rows: where they begin, and how many */
    size_t rows;
} Segment;

/* Activations: the rational approximations of Eigen and of ONNX Runtime's MLAS, bit for bit. */

INLINE V v_clamp(V x, float low, float high)
{
    return v_min(v_max(x, v_set(low)), v_set(high));
}

ACTIVATION V v_tanh(V value)
{
    V x = v_clamp(value, -9.0f, 9.0f);
    C s = c_of(v_mul(x, x));
    C p = c_fma(s, c_set(-2.76076847742355e-16f), c_set(2.00018790482477e-13f));
    p = c_fma(p, s, c_set(-8.60467152213735e-11f));
    p = c_fma(p, s, c_set(5.12229709037114e-08f));
    p = c_fma(p, s, c_set(1.48572235717979e-05f));
    p = c_fma(p, s, c_set(6.37261928875436e-04f));
    p = c_fma(p, s, c_set(4.89352455891786e-03f));
    C q = c_fma(s, c_set(1.19825839466702e-06f), c_set(1.18534705686654e-04f));
    q = c_fma(q, s, c_set(2.26843463243900e-03f));
    q = c_fma(q, s, c_set(4.89352518554385e-03f));
    return v_div(v_mul(v_of(p), x), v_of(q));
}

ACTIVATION V v_sigmoid(V value)
{
    V x = v_clamp(value, -18.0f, 18.0f);
    C s = c_of(v_mul(x, x));
    C p = c_fma(s, c_set(4.37031012579801e-11f), c_set(1.15627324459942e-07f));
    p = c_fma(p, s, c_set(6.08574864600143e-05f));
    p = c_fma(p, s, c_set(8.51377133304701e-03f));
    p = c_fma(p, s, c_set(2.48287947061529e-01f));
    C q = c_fma(s, c_set(6.10247389755681e-13f), c_set(5.76102136993427e-09f));
    q = c_fma(q, s, c_set(6.29106785017040e-06f));
    q = c_fma(q, s, c_set(1.70198817374094e-03f));
    q = c_fma(q, s, c_set(1.16817656904453e-01f));
    q = c_fma(q, s, c_set(9.93151921023180e-01f));
    return v_max(v_add(v_div(v_mul(v_of(p), x), v_of(q)), v_set(0.5f)), v_set(0.0f));
}

/* e ** x for x from -87 to 0; below, e ** -87. */
INLINE V v_exp(V value)
{
    V x = v_clamp(value, -87.0f, 87.0f);
    V whole = v_round(v_mul(x, v_set(1.44269504f)));
    V f = v_fma(whole, v_set(-0.693359375f), x);
    f = v_fma(whole, v_set(2.12194440e-4f), f);
    V p = v_fma(f, v_set(1.9875691500e-4f), v_set(1.3981999507e-3f));
    p = v_fma(p, f, v_set(8.3334519073e-3f));
    p = v_fma(p, f, v_set(4.1665795894e-2f));
    p = v_fma(p, f, v_set(1.6666665459e-1f));
    p = v_fma(p, f, v_set(5.0000001201e-1f));
    p = v_fma(p, v_mul(f, f), v_add(f, v_set(1.0f)));
    return v_mul(p, v_power(whole));
}

/* A state from -1 to 1 as uint8: as the anchored LSTM rounds it, or in steps of 1/127. */
INLINE void keep_bytes(int cell, V h, uint8_t *to)
{
    if (cell == LSTM) {
        /* The quotient by a step, rounded once: a product and what is left of it (Markstein 1990) */
        V step = v_set(2.0f / 255.0f), inverse = v_set(1.0f / (2.0f / 255.0f)), quotient = v_mul(h, inverse);
        V steps = v_fma(v_fma(v_sub(v_set(0.0f), quotient), step, h), inverse, quotient);
        v_store_bytes(to, v_clamp(steps, -127.0f, 128.0f), 127);
    } else {
        v_store_bytes(to, v_clamp(v_mul(h, v_set(127.0f)), -127.0f, 127.0f), 128);
    }
}

/* Products of float32 rows with packed weights; each output adds its inputs in order. */

#define F_ROW(r)                                       \
    if (rows > r) {                                    \
        V b = v_set(x[r][k]);                          \
        a##r##0 = v_fma(b, w0, a##r##0);               \
        a##r##1 = v_fma(b, w1, a##r##1);               \
        a##r##2 = v_fma(b, w2, a##r##2);               \
        if (vectors > 3) a##r##3 = v_fma(b, w3, a##r##3); \
    }
#define F_BEGIN(r)                                                                        \
    V a##r##0, a##r##1, a##r##2, a##r##3;                                                 \
    {                                                                                     \
        const float *s = start[rows > r ? r : 0];                                         \
        a##r##0 = v_load(s), a##r##1 = v_load(s + LANES), a##r##2 = v_load(s + 2 * LANES); \
        a##r##3 = vectors > 3 ? v_load(s + 3 * LANES) : a##r##2;                          \
    }
#define F_END(r)                                                                  \
    if (rows > r) {                                                               \
        float *o = out + r * vectors * LANES;                                     \
        v_store(o, a##r##0), v_store(o + LANES, a##r##1), v_store(o + 2 * LANES, a##r##2); \
        if (vectors > 3) v_store(o + 3 * LANES, a##r##3);                         \
    }

INLINE void product_f_of(size_t rows, size_t vectors, const float *const *x, size_t inputs,
                         const float *w, const float *const *start, float *out)
{
    F_BEGIN(0) F_BEGIN(1) F_BEGIN(2) F_BEGIN(3)
    for (size_t k = 0; k < inputs; k++, w += vectors * LANES) {
        V w0 = v_load(w), w1 = v_load(w + LANES), w2 = v_load(w + 2 * LANES);
        V w3 = vectors > 3 ? v_load(w + 3 * LANES) : w2;
        F_ROW(0) F_ROW(1) F_ROW(2) F_ROW(3)
    }
    F_END(0) F_END(1) F_END(2) F_END(3)
}

static void product_f(size_t rows, size_t vectors, const float *const *x, size_t inputs,
                      const float *w, const float *const *start, float *out)
{
#if FLOAT_ROWS == 4
    if (rows == 4) {
        if (vectors == 4) product_f_of(4, 4, x, inputs, w, start, out);
        else product_f_of(4, 3, x, inputs, w, start, out);
        return;
    }
#endif
    for (size_t r = 0; r < rows; r++, out += vectors * LANES) {
        if (vectors == 4) product_f_of(1, 4, x + r, inputs, w, start + r, out);
        else product_f_of(1, 3, x + r, inputs, w, start + r, out);
    }
}

/* What the first layer reads. */

static void read_row(const tg_model *m, tg_workspace *w, size_t row, int64_t id)
{
    const Layer *layer = &m->layer[0];
    size_t columns = m->columns, token = (size_t)id, half = (columns + 1) / 2;
    uint8_t *to8 = layer->integer ? w->read8 + row * layer->input_width : NULL;
    float *tof = layer->integer ? NULL : w->readf + row * layer->input_width;
    float scale = m->embedding == NIBBLES ? m->row_scale[token] : 1.0f;
    w->row_scale[row] = scale;
    const int8_t *table8 = (const int8_t *)m->table + token * columns;
    const uint8_t *nibbles = (const uint8_t *)m->table + token * half;
    const float *tablef = (const float *)m->table + token * columns;
    if (to8 && m->embedding == INT8 && (m->cell != LSTM || (m->input_step == 1.0f && m->input_zero == 128))) {
        size_t i = 0;
        for (uint64_t eight; i + sizeof eight <= columns; i += sizeof eight) {
            memcpy(&eight, table8 + i, sizeof eight);
            eight ^= 0x8080808080808080u;
            memcpy(to8 + i, &eight, sizeof eight);
        }
        for (; i < columns; i++) to8[i] = (uint8_t)table8[i] ^ 0x80;
        return;
    }
    if (to8 && m->embedding == NIBBLES && m->cell != LSTM) {
        for (size_t i = 0; i < half; i++) to8[i] = (uint8_t)((nibbles[i] & 15) + 120);
        for (size_t i = half; i < columns; i++) to8[i] = (uint8_t)((nibbles[i - half] >> 4) + 120);
        return;
    }
    float part[LANES];
    for (size_t i = 0; i < columns; i += LANES) {
        size_t some = columns - i < LANES ? columns - i : LANES;
        for (size_t j = 0; j < some; j++) {
            size_t k = i + j;
            if (m->embedding == FLOAT32) part[j] = tablef[k];
            else if (m->embedding == INT8) part[j] = (float)table8[k];
            else part[j] = (float)((k < half ? nibbles[k] & 15 : nibbles[k - half] >> 4) - 8) * scale;
        }
        for (size_t j = some; j < LANES; j++) part[j] = 0.0f;
        if (tof) {
            memcpy(tof + i, part, sizeof part);
        } else {
            V steps = v_div(v_load(part), v_set(m->input_step));
            v_store_bytes(to8 + i, v_clamp(steps, m->low_step, m->high_step), m->input_zero);
        }
    }
}

/* Input products of rows, float32 [rows][panel][vector][16] into w->sums. */
static void project(const tg_model *m, tg_workspace *w, size_t l, size_t d, const size_t *index, size_t count)
{
    const Layer *layer = &m->layer[l];
    const Direction *way = &layer->direction[d];
    size_t wide = layer->vectors * LANES, all = layer->panels * wide;
    size_t groups = layer->input_groups;
    const uint8_t *read8 = l ? w->given8[(l - 1) & 1] : w->read8;
    const float *readf = l ? w->givenf[(l - 1) & 1] : w->readf;
    bool scaled = l == 0 && m->embedding == NIBBLES && m->cell != LSTM;
    for (size_t panel = 0; panel < layer->panels; panel++) {
        size_t offset = panel * wide;
        for (size_t first = 0; first < count; first += TEXTS) {
            size_t rows = count - first < TEXTS ? count - first : TEXTS;
            float *to = w->sums + first * all + offset;
            if (!layer->integer) {
                const float *x[TEXTS], *start[TEXTS];
                float out[TEXTS * MAX_VECTORS * LANES];
                for (size_t r = 0; r < rows; r++) {
                    x[r] = readf + index[first + r] * layer->input_width;
                    start[r] = way->bias + offset;
                }
                product_f(rows, layer->vectors, x, groups,
                          (const float *)way->input + panel * groups * wide, start, out);
                for (size_t r = 0; r < rows; r++) memcpy(to + r * all, out + r * wide, wide * sizeof *out);
                continue;
            }
            const uint8_t *x[TEXTS];
            int32_t out[TEXTS * MAX_VECTORS * LANES];
            for (size_t r = 0; r < rows; r++) x[r] = read8 + index[first + r] * layer->input_width;
            product8(rows, layer->vectors, way->input_narrow, x, groups,
                     (const int8_t *)way->input + panel * groups * wide * 4, way->input_start + offset, out);
            const float *scales = way->input_scale + offset, *bias = way->bias + offset;
            if (m->cell == LSTM) { /* its bias is added last, as ONNX Runtime does */
                for (size_t v = 0; v < wide; v += LANES) {
                    V scale = v_load(scales + v);
                    for (size_t r = 0; r < rows; r++) {
                        v_store(to + r * all + v, v_mul(v_integers(out + r * wide + v), scale));
                    }
                }
                continue;
            }
            for (size_t r = 0; r < rows; r++) {
                V factor = v_set(scaled ? w->row_scale[index[first + r]] : 1.0f);
                for (size_t v = 0; v < wide; v += LANES) {
                    V scale = v_mul(v_load(scales + v), factor); /* times 1, which changes nothing */
                    v_store(to + r * all + v, v_fma(v_integers(out + r * wide + v), scale, v_load(bias + v)));
                }
            }
        }
    }
}

/* One step of a direction: what it reads and where it puts what it gives. */
typedef struct {
    size_t texts;
    const uint8_t *h8[TEXTS];
    const float *hf[TEXTS];
    float *state[TEXTS], *cell[TEXTS]; /* changed in place; a float32 layer's states are elsewhere */
    uint8_t *to8[TEXTS];               /* or NULL */
    float *tof[TEXTS];                 /* or NULL */
    const float *sums;                 /* [texts][panel][vector][16] */
    void *products;                    /* int32 or float32 [panel][texts][vector][16] */
} Step;

INLINE void give(int cell, bool integer, const Step *step, size_t text, size_t unit, V h)
{
    if (integer) v_store(step->state[text] + unit, h);
    if (step->tof[text]) v_store(step->tof[text] + unit, h);
    if (step->to8[text]) keep_bytes(cell, h, step->to8[text] + unit);
}

/* What a gate's function is taken of, for 16 outputs; in an LSTM the bias is added last, as ONNX Runtime does. */
INLINE V lstm_gate(const void *product, const float *read, const float *scale, const float *bias)
{
    return v_add(v_add(v_load(read), v_mul(v_integers(product), v_load(scale))), v_load(bias));
}

INLINE V gate(int cell, bool integer, bool fresh, const Direction *way, const void *product, const float *read, size_t offset)
{
    if (!integer) return v_load(product);
    if (cell == LSTM) return lstm_gate(product, read + offset, way->recurrent_scale + offset, way->bias + offset);
    V sum = v_integers(product), scale = v_load(way->recurrent_scale + offset);
    if (fresh) return v_fma(sum, scale, v_load(way->recurrent_bias + offset));
    return v_fma(sum, scale, v_load(read + offset));
}

/* The gates of one text, for some panels. */
INLINE void open_gates(int cell, bool integer, const Layer *layer, const Direction *way, const Step *step, size_t text,
                       size_t first, size_t end)
{
    const size_t vectors = cell == GRU ? 3 : 4, wide = vectors * LANES;
    const float *x = step->sums + text * layer->panels * wide;
    const uint32_t *product = (const uint32_t *)step->products + (first * step->texts + text) * wide;
    for (size_t panel = first; panel < end; panel++, product += step->texts * wide) {
        size_t offset = panel * wide, unit = panel * LANES;
        V z0 = gate(cell, integer, false, way, product, x, offset);
        V z1 = gate(cell, integer, false, way, product + LANES, x, offset + LANES);
        V z2 = gate(cell, integer, cell == GRU, way, product + 2 * LANES, x, offset + 2 * LANES);
        V z3 = vectors > 3 ? gate(cell, integer, false, way, product + 3 * LANES, x, offset + 3 * LANES) : z2;
        if (cell == LSTM) {
            V kept = v_mul(v_load(step->cell[text] + unit), v_sigmoid(z2));
            V c = v_add(kept, v_mul(v_sigmoid(z0), v_tanh(z3)));
            v_store(step->cell[text] + unit, c);
            give(cell, integer, step, text, unit, v_mul(v_tanh(c), v_sigmoid(z1)));
        } else if (cell == GRU) {
            V before = v_load((integer ? step->state[text] : step->hf[text]) + unit);
            V fresh = v_tanh(v_fma(v_sigmoid(z1), z2, v_load(x + offset + 2 * LANES)));
            give(cell, integer, step, text, unit, v_fma(v_sigmoid(z0), v_sub(before, fresh), fresh));
        } else {
            give(cell, integer, step, text, offset, v_tanh(z0));
            give(cell, integer, step, text, offset + LANES, v_tanh(z1));
            give(cell, integer, step, text, offset + 2 * LANES, v_tanh(z2));
            give(cell, integer, step, text, offset + 3 * LANES, v_tanh(z3));
        }
    }
}

/* One step. Panels go downwards every other time: what was read last is still in the nearest cache.
 * Where products take two panels at once, the gates of a text alone, and of a GRU, follow the products
 * of their panels: a processor computes them while it waits for the weights of the next. Elsewhere it
 * waits for no weights, and gates of many panels in a row overlap best. */
INLINE void advance(int cell, bool integer, const Layer *layer, const Direction *way, const Step *step, bool down)
{
    const size_t vectors = cell == GRU ? 3 : 4, wide = vectors * LANES;
    size_t groups = layer->recurrent_groups, all = layer->panels * wide;
    bool alone = PAIRS && integer && step->texts == 1;
    bool follow = alone || (PAIRS && integer && cell == GRU);
    for (size_t i = 0; i < layer->panels; i++) {
        size_t panel = down ? layer->panels - 1 - i : i, offset = panel * wide;
#if PAIRS
        if (alone && i + 1 < layer->panels) {
            panel -= down;
            offset = panel * wide;
            Pair pair = pair_begin(vectors, step->h8[0], groups, (const int8_t *)way->recurrent + offset * groups * 4,
                                   way->recurrent_start + offset);
            pair_add(vectors, &pair, groups);
            pair_end(vectors, &pair, (int32_t *)step->products + offset);
            open_gates(cell, integer, layer, way, step, 0, panel, panel + 2);
            i++;
            continue;
        }
#endif
        if (integer) {
            product8(step->texts, vectors, way->recurrent_narrow, step->h8, groups,
                     (const int8_t *)way->recurrent + offset * groups * 4, way->recurrent_start + offset,
                     (int32_t *)step->products + offset * step->texts);
        } else {
            const float *start[TEXTS];
            float begin[TEXTS * MAX_VECTORS * LANES];
            for (size_t r = 0; r < step->texts; r++) {
                start[r] = step->sums + r * all + offset;
                if (cell == GRU) { /* the reset gate comes between both products of a new state */
                    memcpy(begin + r * wide, start[r], 2 * LANES * sizeof *begin);
                    memcpy(begin + r * wide + 2 * LANES, way->recurrent_bias + offset + 2 * LANES, LANES * sizeof *begin);
                    start[r] = begin + r * wide;
                }
            }
            product_f(step->texts, vectors, step->hf, groups, (const float *)way->recurrent + offset * groups, start,
                      (float *)step->products + offset * step->texts);
        }
        if (follow) {
            for (size_t r = 0; r < step->texts; r++) open_gates(cell, integer, layer, way, step, r, panel, panel + 1);
        }
    }
    if (follow) return;
    for (size_t r = 0; r < step->texts; r++) open_gates(cell, integer, layer, way, step, r, 0, layer->panels);
}

#define STEP(name, cell, integer)                                                           \
    static void name(const Layer *layer, const Direction *way, const Step *step, bool down) \
    {                                                                                       \
        advance(cell, integer, layer, way, step, down);                                     \
    }
STEP(step_rnn8, RNN, true)
STEP(step_lstm8, LSTM, true)
STEP(step_gru8, GRU, true)
STEP(step_rnnf, RNN, false)
STEP(step_lstmf, LSTM, false)
STEP(step_gruf, GRU, false)

#if PAIRS
/* One step of an int8 LSTM with an even number of panels, for one text. The gates of two panels are
 * computed between the parts of the next products: products wait for weights, and each step of a
 * gate waits for the step before it.
 * Inlined into a longer function, it would keep fewer constants in registers. */
static __attribute__((noinline)) void step_lstm8_alone(const Layer *layer, const Direction *way, const Step *step, bool down)
{
    const size_t wide = 4 * LANES, groups = layer->recurrent_groups, part = groups / 8;
    int32_t *products = step->products;
    const float *x = step->sums, *scale = way->recurrent_scale, *bias = way->bias; /* stores change none of them */
    size_t before = 0;
    for (size_t i = 0; i < layer->panels; i += 2) {
        size_t panel = down ? layer->panels - 2 - i : i, offset = panel * wide;
        Pair pair = pair_begin(4, step->h8[0], groups, (const int8_t *)way->recurrent + offset * groups * 4,
                               way->recurrent_start + offset);
        if (i == 0) {
            pair_add(4, &pair, groups);
        } else {
#define GATE(vector) lstm_gate(products + o + vector * LANES, x + o + vector * LANES, scale + o + vector * LANES, bias + o + vector * LANES)
#define PANEL(which, rest)                                                  \
    {                                                                       \
        size_t o = (before + which) * wide, unit = (before + which) * LANES; \
        V kept = v_mul(v_load(step->cell[0] + unit), v_sigmoid(GATE(2)));   \
        pair_add(4, &pair, part);                                           \
        V c = v_add(kept, v_mul(v_sigmoid(GATE(0)), v_tanh(GATE(3))));      \
        v_store(step->cell[0] + unit, c);                                   \
        pair_add(4, &pair, part);                                           \
        V shown = v_sigmoid(GATE(1)), squashed = v_tanh(c);                 \
        pair_add(4, &pair, part);                                           \
        give(LSTM, true, step, 0, unit, v_mul(squashed, shown));            \
        pair_add(4, &pair, rest);                                           \
    }
            PANEL(0, part)
            PANEL(1, groups - 7 * part)
#undef PANEL
#undef GATE
        }
        pair_end(4, &pair, products + offset);
        before = panel;
    }
    open_gates(LSTM, true, layer, way, step, 0, before, before + 2);
}
#endif

static size_t texts_at(const Segment *s, size_t step)
{
    size_t texts = 0;
    while (texts < s->texts && s->steps[texts] > step) texts++;
    return texts;
}

static void run_direction(const tg_model *m, tg_workspace *w, size_t l, size_t d, const Segment *s)
{
    static void (*const STEPS[2][3])(const Layer *, const Direction *, const Step *, bool) = {
        {step_rnnf, step_lstmf, step_gruf}, {step_rnn8, step_lstm8, step_gru8}};
    const Layer *layer = &m->layer[l];
    const Direction *way = &layer->direction[d];
    size_t width = layer->width, row_width = m->directions * width;
    size_t states = (l * m->directions + d) * TEXTS * m->widest;
    Step step = {.products = w->products};
    uint8_t *state8[TEXTS];
    for (size_t r = 0; r < s->texts; r++) {
        state8[r] = w->state8 + states + r * m->widest;
        step.h8[r] = state8[r];
        step.state[r] = w->statef + states + r * m->widest;
        step.hf[r] = step.state[r];
        step.cell[r] = w->cell + states + r * m->widest;
    }
    bool down = false;
    for (size_t time = 0; time < s->steps[0];) {
        size_t index[BLOCK], count = 0, first = time;
        for (size_t texts; time < s->steps[0]; time++) {
            texts = texts_at(s, time);
            if (count + texts > BLOCK) break;
            for (size_t r = 0; r < texts; r++) index[count++] = s->begin[r] + (d ? s->steps[r] - 1 - time : time);
        }
        project(m, w, l, d, index, count);
        const size_t *row = index;
        step.sums = w->sums;
        for (; first < time; first++, down = !down) {
            step.texts = texts_at(s, first);
            for (size_t r = 0; r < step.texts; r++) {
                size_t offset = row[r] * row_width + d * width;
                step.to8[r] = layer->gives_bytes ? w->given8[l & 1] + offset : NULL;
                step.tof[r] = layer->gives_floats ? w->givenf[l & 1] + offset : NULL;
            }
#if PAIRS
            if (step.texts == 1 && layer->integer && m->cell == LSTM && layer->panels % 2 == 0) {
                step_lstm8_alone(layer, way, &step, down);
            } else
#endif
            {
                STEPS[layer->integer][m->cell](layer, way, &step, down);
            }
            for (size_t r = 0; r < step.texts; r++) {
                step.h8[r] = step.to8[r];
                if (!layer->integer) step.hf[r] = step.tof[r];
            }
            row += step.texts;
            step.sums += step.texts * layer->panels * layer->vectors * LANES;
        }
    }
    for (size_t r = 0; r < s->texts; r++) {
        if (layer->integer) memcpy(state8[r], step.h8[r], width);
        else memcpy(step.state[r], step.hf[r], width * sizeof(float));
    }
}

/* Poolings, the linear branch and the head. */

INLINE float dot(const float *x, const float *y, size_t count)
{
    V sum = v_set(0.0f);
    for (size_t i = 0; i < count; i += LANES) sum = v_fma(v_load(x + i), v_load(y + i), sum);
    return v_total(sum);
}

INLINE float exp_of(float x)
{
    float lanes[LANES];
    v_store(lanes, v_exp(v_set(x)));
    return lanes[0];
}

/* Move the poolings of one text on by rows of the last layer's states. */
static void pool(const tg_model *m, tg_workspace *w, size_t text, const float *rows, size_t count)
{
    size_t width = m->directions * m->layer[m->layers - 1].width;
    for (size_t p = 0; p < m->poolings; p++) {
        float *to = w->pool + (text * m->poolings + p) * width;
        float *scores = w->scores + text * 3;
        if (m->pooling[p] == MAX || m->pooling[p] == MEAN) {
            for (size_t i = 0; i < width; i += LANES) {
                V so_far = v_load(to + i);
                for (size_t t = 0; t < count; t++) {
                    V h = v_load(rows + t * width + i);
                    so_far = m->pooling[p] == MAX ? v_max(h, so_far) : v_add(so_far, h);
                }
                v_store(to + i, so_far);
            }
            if (m->pooling[p] == MEAN) {
                for (size_t t = 0; t < count; t++) scores[2] += 1.0f;
            }
        } else if (m->pooling[p] == ATTENTION) {
            for (size_t t = 0; t < count; t++) {
                const float *h = rows + t * width;
                float score = dot(h, m->attention, width);
                float fade = 1.0f;
                if (score > scores[0]) {
                    fade = exp_of(scores[0] - score);
                    scores[0] = score;
                }
                float weight = exp_of(score - scores[0]);
                float faded = scores[1] * fade;
                scores[1] = faded + weight;
                for (size_t i = 0; i < width; i += LANES) {
                    V faded_sum = v_mul(v_load(to + i), v_set(fade));
                    v_store(to + i, v_fma(v_set(weight), v_load(h + i), faded_sum));
                }
            }
        }
    }
}

INLINE void add_row(float *sums, const void *table, int kind, size_t row, size_t columns)
{
    for (size_t i = 0; i < columns; i++) {
        sums[i] += kind == INT8 ? (float)((const int8_t *)table)[row * columns + i]
                                : ((const float *)table)[row * columns + i];
    }
}

static void add_linear(const tg_model *m, float *sums, const int64_t *ids, size_t count)
{
    const Linear *linear = &m->linear;
    size_t columns = linear->columns;
    float *squares = sums + 2 * columns, *previous = squares + 1;
    uint64_t before = (uint64_t)*previous;
    for (size_t t = 0; t < count; t++) {
        uint64_t id = (uint64_t)ids[t], mixed = before * 1000003u + id * 7368787u;
        float square = 0.0f;
        if (id < linear->token_rows) {
            add_row(sums, linear->tokens, linear->kind, id, columns);
            float weight = linear->token_weights[id];
            square = weight * weight;
        }
        size_t bucket = mixed % linear->bigram_rows;
        if (linear->fingerprints[bucket] == mixed % 251u) {
            add_row(sums + columns, linear->bigrams, linear->kind, bucket, columns);
            float weight = linear->bigram_weights[bucket];
            square += weight * weight;
        }
        *squares += square;
        before = id;
    }
    *previous = (float)before;
}

static void apply_dense(const Dense *dense, const float *x, float *to)
{
    for (size_t unit = 0; unit < dense->units; unit++) {
        if (dense->kind == FLOAT32) {
            to[unit] = dot(x, (const float *)dense->weight + unit * dense->inputs, dense->inputs) + dense->bias[unit];
            continue;
        }
        const int8_t *weight = (const int8_t *)dense->weight + unit * dense->inputs;
        V sum = v_set(0.0f);
        for (size_t i = 0; i < dense->inputs; i += LANES) sum = v_fma(v_load(x + i), v_int8(weight + i), sum);
        to[unit] = v_total(sum) * dense->scale[unit] + dense->bias[unit];
    }
}

/* Return whether the logits, at most LANES - 1 numbers of room behind them, give probabilities. */
static bool probabilities_of(const tg_model *m, float *logits, size_t labels, float *to)
{
    size_t padded = (labels + LANES - 1) / LANES * LANES;
    for (size_t i = labels; i < padded; i++) logits[i] = logits[0];
    float top = LOWEST;
    for (size_t i = 0; i < padded; i += LANES) {
        v_store(logits + i, v_mul(v_load(logits + i), v_set(m->inverse_temperature)));
    }
    for (size_t i = 0; i < labels; i++) top = logits[i] > top ? logits[i] : top;
    V total = v_set(0.0f);
    for (size_t i = 0; i < padded; i += LANES) {
        V x = v_load(logits + i);
        v_store(logits + i, m->sigmoids ? v_sigmoid(x) : v_exp(v_sub(x, v_set(top))));
        if (i + LANES >= labels) memset(logits + labels, 0, (padded - labels) * sizeof(float));
        total = v_add(total, v_load(logits + i));
    }
    float sum = m->sigmoids ? 1.0f : v_total(total);
    if (!(sum > 0.0f)) return false;
    double check = 0.0;
    for (size_t i = 0; i < labels; i++) {
        to[i] = logits[i] / sum;
        if (!(to[i] >= 0.0f && to[i] <= 1.001f)) return false;
        check += to[i];
    }
    return m->sigmoids || (check > 0.999 && check < 1.001);
}

static bool finish(const tg_model *m, tg_workspace *w, size_t text, float *to)
{
    const Layer *last = &m->layer[m->layers - 1];
    size_t width = m->directions * last->width;
    float *pooled = w->pooled, *scores = w->scores + text * 3;
    for (size_t p = 0; p < m->poolings; p++, pooled += width) {
        const float *sums = w->pool + (text * m->poolings + p) * width;
        if (m->pooling[p] == LAST) {
            for (size_t d = 0; d < m->directions; d++) {
                size_t offset = ((m->layers - 1) * m->directions + d) * TEXTS + text;
                memcpy(pooled + d * last->width, w->statef + offset * m->widest, last->width * sizeof(float));
            }
        } else if (m->pooling[p] == MAX) {
            memcpy(pooled, sums, width * sizeof(float));
        } else {
            V by = v_set(m->pooling[p] == MEAN ? scores[2] : scores[1]);
            for (size_t i = 0; i < width; i += LANES) v_store(pooled + i, v_div(v_load(sums + i), by));
        }
    }
    const float *x = w->pooled;
    float *logits = NULL;
    for (size_t i = 0; i < m->dense_layers; i++) {
        const Dense *dense = &m->dense[i];
        logits = w->dense[i & 1];
        apply_dense(dense, x, logits);
        if (i + 1 < m->dense_layers) {
            for (size_t unit = 0; unit < dense->units; unit++) logits[unit] = logits[unit] > 0.0f ? logits[unit] : 0.0f;
            for (size_t unit = dense->units; unit % LANES; unit++) logits[unit] = 0.0f;
        }
        x = logits;
    }
    size_t labels = m->dense[m->dense_layers - 1].units;
    if (m->linear.columns) {
        const Linear *linear = &m->linear;
        const float *sums = w->linear + text * (2 * linear->columns + 2);
        float *projected = w->dense[m->dense_layers & 1];
        float square = sums[2 * linear->columns];
        memset(projected, 0, labels * sizeof *projected);
        for (size_t i = 0; i < 2 * linear->columns; i++) {
            for (size_t label = 0; label < labels; label++) projected[label] += sums[i] * linear->projection[i * labels + label];
        }
        float lanes[LANES];
        v_store(lanes, v_sqrt(v_set(square > 1.0f ? square : 1.0f)));
        for (size_t label = 0; label < labels; label++) logits[label] += projected[label] / lanes[0];
    }
    return probabilities_of(m, logits, labels, to);
}

/* States of a stream, in the order of textgate_engine.h. */

static const float *take(float *to, const float *from, size_t count)
{
    memcpy(to, from, count * sizeof(float));
    return from + count;
}

static float *put(float *to, const float *from, size_t count, int anchors, float held)
{
    memcpy(to, from, count * sizeof(float));
    to += count;
    if (anchors) *to++ = held, *to++ = -held;
    return to;
}

static void begin(const tg_model *m, tg_workspace *w, size_t text, const float *from)
{
    const Layer *last = &m->layer[m->layers - 1];
    for (size_t l = 0; l < m->layers; l++) {
        const Layer *layer = &m->layer[l];
        for (size_t d = 0; d < m->directions; d++) {
            size_t offset = ((l * m->directions + d) * TEXTS + text) * m->widest;
            float *h = w->statef + offset, *c = w->cell + offset;
            memset(h, 0, layer->width * sizeof(float));
            memset(c, 0, layer->width * sizeof(float));
            if (from) from = take(h, from, layer->units) + layer->anchors;
            if (from && m->cell == LSTM) from = take(c, from, layer->units) + layer->anchors;
            for (size_t i = 0; i < layer->width; i += LANES) keep_bytes(m->cell, v_load(h + i), w->state8 + offset + i);
        }
    }
    size_t width = m->directions * last->width;
    float *scores = w->scores + text * 3;
    scores[0] = LOWEST, scores[1] = 0.0f, scores[2] = 0.0f;
    for (size_t p = 0; p < m->poolings; p++) {
        float *to = w->pool + (text * m->poolings + p) * width;
        for (size_t i = 0; i < width; i++) to[i] = m->pooling[p] == MAX ? LOWEST : 0.0f;
        if (!from || m->pooling[p] == LAST) continue;
        if (m->pooling[p] == ATTENTION) from = take(scores, from, 2);
        from = take(to, from, last->units) + last->anchors;
        if (m->pooling[p] == MEAN) from = take(scores + 2, from, 1);
    }
    if (m->linear.columns) {
        float *sums = w->linear + text * (2 * m->linear.columns + 2);
        memset(sums, 0, (2 * m->linear.columns + 2) * sizeof(float));
        if (from) {
            sums[2 * m->linear.columns + 1] = *from++;
            take(sums, from, 2 * m->linear.columns + 1);
        }
    }
}

static void keep(const tg_model *m, const tg_workspace *w, size_t text, float *to)
{
    const Layer *last = &m->layer[m->layers - 1];
    for (size_t l = 0; l < m->layers; l++) {
        const Layer *layer = &m->layer[l];
        size_t offset = (l * TEXTS + text) * m->widest;
        to = put(to, w->statef + offset, layer->units, layer->anchors, 1.0f);
        if (m->cell == LSTM) to = put(to, w->cell + offset, layer->units, layer->anchors, HELD);
    }
    const float *scores = w->scores + text * 3;
    for (size_t p = 0; p < m->poolings; p++) {
        const float *sums = w->pool + (text * m->poolings + p) * last->width;
        if (m->pooling[p] == MAX) {
            to = put(to, sums, last->units, last->anchors, 1.0f);
        } else if (m->pooling[p] == MEAN) {
            to = put(to, sums, last->units, last->anchors, scores[2]);
            *to++ = scores[2];
        } else if (m->pooling[p] == ATTENTION) {
            to = put(to, scores, 2, 0, 0.0f);
            to = put(to, sums, last->units, last->anchors, scores[1]);
        }
    }
    if (m->linear.columns) {
        const float *sums = w->linear + text * (2 * m->linear.columns + 2);
        *to++ = sums[2 * m->linear.columns + 1];
        put(to, sums, 2 * m->linear.columns + 1, 0, 0.0f);
    }
}

int FORWARD(const tg_model *m, tg_workspace *w, const int64_t *const *ids, const size_t *lengths, size_t texts,
            const float *const *state, float *const *next_state, float *const *probabilities)
{
    const Layer *last = &m->layer[m->layers - 1];
    size_t read = 0;
    for (size_t r = 0; r < texts; r++) begin(m, w, r, state ? state[r] : NULL);
    while (read < lengths[0]) {
        /* Two directions read a text as a whole; one reads on in parts that stay in the caches. */
        Segment s = {0};
        size_t most = lengths[0];
        while (s.texts < texts && lengths[s.texts] > read) s.texts++;
        if (m->directions == 1) most = BLOCK / s.texts;
        for (size_t r = 0; r < s.texts; r++) {
            s.begin[r] = s.rows;
            s.steps[r] = lengths[r] - read < most ? lengths[r] - read : most;
            s.rows += s.steps[r];
        }
        if (s.rows > w->rows) {
            int status = tg_grow(m, w, s.rows);
            if (status != TG_OK) return status;
        }
        for (size_t r = 0; r < s.texts; r++) {
            for (size_t t = 0; t < s.steps[r]; t++) read_row(m, w, s.begin[r] + t, ids[r][read + t]);
        }
        for (size_t l = 0; l < m->layers; l++) {
            for (size_t d = 0; d < m->directions; d++) run_direction(m, w, l, d, &s);
        }
        if (last->gives_floats) {
            size_t width = m->directions * last->width;
            const float *rows = w->givenf[(m->layers - 1) & 1];
            for (size_t r = 0; r < s.texts; r++) pool(m, w, r, rows + s.begin[r] * width, s.steps[r]);
        }
        read += most;
    }
    for (size_t r = 0; r < texts; r++) {
        if (m->linear.columns) add_linear(m, w->linear + r * (2 * m->linear.columns + 2), ids[r], lengths[r]);
        if (!finish(m, w, r, probabilities[r])) return TG_NO_PROBABILITIES;
        if (next_state) keep(m, w, r, next_state[r]);
    }
    return TG_OK;
}
