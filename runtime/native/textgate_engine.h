/* textgate's engine: a recurrent text classifier, from token ids to probabilities, without Python.
 *
 * A model is one block of bytes (see "The model's bytes" below), checked when it is opened: bytes
 * that pass cannot make any call read or write out of bounds. An open model never changes, so any
 * number of threads may share it, and it survives a fork. What a call needs to write lies in a
 * workspace; every call in progress needs one of its own. The library keeps no global state, starts
 * no thread, takes no lock and prints nothing.
 *
 * One answer everywhere: sums of integers are exact, and every float32 operation is an IEEE one in
 * a fixed order, fused multiply-add included. Instruction sets, batches and chunks of a stream
 * therefore change no bit of a result. The floating-point environment must be the default one
 * (round to nearest, denormals kept).
 *
 *     size_t size;                                  // example.c reads a file
 *     tg_model *model;
 *     tg_workspace *workspace;
 *     int status = tg_open(bytes, size, TG_BEST, &model);
 *     if (status == TG_OK) status = tg_new_workspace(model, &workspace);
 *     if (status == TG_OK) status = tg_run(model, workspace, ids, tokens, &tokens, 1, NULL, NULL, p);
 *     if (status != TG_OK) puts(tg_message(status));
 */
#ifndef TEXTGATE_ENGINE_H
#define TEXTGATE_ENGINE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Of this interface and of the model's bytes; a library reads the one version alone. */
#define TG_VERSION 1

#if defined(_WIN32)
#define TG_API __declspec(dllexport)
#else
#define TG_API __attribute__((visibility("default")))
#endif

typedef struct tg_model tg_model;
typedef struct tg_workspace tg_workspace;

/* What the functions return. */
enum {
    TG_OK = 0,
    TG_NO_MEMORY = 1,         /* memory cannot be had */
    TG_BAD_MODEL = 2,         /* the bytes are no model of this version */
    TG_BAD_NUMBER = 3,        /* a weight, scale or bias is NaN, infinite or out of its range */
    TG_NO_INSTRUCTIONS = 4,   /* this processor or build does not have the instruction set */
    TG_BAD_ID = 5,            /* a token id is outside the vocabulary */
    TG_BAD_LENGTH = 6,        /* a text has no token, or more than fit in its row of ids */
    TG_BAD_STATE = 7,         /* a state is not one that the engine gives */
    TG_NO_PROBABILITIES = 8   /* the weights give NaN, or probabilities that do not add up to 1 */
};

/* Instruction sets, from the slowest to the fastest of each kind of processor. */
enum {
    TG_BEST = -1, /* the fastest one that this processor has */
    TG_PORTABLE = 0,
    TG_AVX2 = 1,        /* AVX2 and FMA */
    TG_AVX_VNNI = 2,    /* AVX2, FMA and AVX-VNNI */
    TG_AVX512_VNNI = 3, /* AVX-512 F, BW, DQ, VL and VNNI */
    TG_NEON = 4,
    TG_NEON_DOTPROD = 5,
    TG_SIMD128 = 6, /* of WebAssembly */
    TG_INSTRUCTION_SETS = 7
};

/* Return TG_VERSION of the library. */
TG_API int tg_version(void);

/* Return a sentence about a status; the string is constant. */
TG_API const char *tg_message(int status);

/* Return whether this processor and build have an instruction set: 1 or 0. */
TG_API int tg_has(int instructions);

/* Return the name of an instruction set, as in "avx2", or NULL. */
TG_API const char *tg_instructions_name(int instructions);

/* Open a model.
 *
 * bytes: the model, aligned to 4; must stay unchanged in its place until tg_close, since the tables
 *     that are looked up by token are read from there.
 * size: how many bytes.
 * instructions: TG_BEST or one of the others.
 * model: where to put the result.
 */
TG_API int tg_open(const void *bytes, size_t size, int instructions, tg_model **model);

/* Close a model; no call may be using it. NULL is closed already. */
TG_API void tg_close(tg_model *model);

/* Return the instruction set in use, the columns of the probabilities, the rows of the embedding. */
TG_API int tg_instructions(const tg_model *model);
TG_API size_t tg_labels(const tg_model *model);
TG_API size_t tg_vocabulary(const tg_model *model);

/* Return how many float32 a stream carries for one text; 0 if the network reads texts backwards. */
TG_API size_t tg_state_size(const tg_model *model);

/* Make a workspace. It grows with the longest text of a network that reads backwards; for other
 * networks it stays as it is, whatever the texts. */
TG_API int tg_new_workspace(const tg_model *model, tg_workspace **workspace);
TG_API void tg_free_workspace(tg_workspace *workspace);

/* Classify texts.
 *
 * ids: token ids [texts, row]; what lies behind a text's length is not read.
 * row: ids from one text to the next.
 * lengths: tokens of each text [texts], from 1 to `row`.
 * texts: how many there are.
 * state: where each text goes on from, float32 [texts, tg_state_size], as an earlier call gave it in
 *     `next_state`; NULL for the beginning of every text.
 * next_state: where to put the states after the texts; NULL if they are not wanted. May be `state`.
 * probabilities: where to put the result, float32 [texts, tg_labels].
 *
 * After a status other than TG_OK the contents of `next_state` and `probabilities` mean nothing.
 */
TG_API int tg_run(const tg_model *model, tg_workspace *workspace, const int64_t *ids, size_t row,
                  const int64_t *lengths, size_t texts, const float *state, float *next_state,
                  float *probabilities);

/* The model's bytes
 *
 * Everything is little-endian. First a header of int32:
 *
 *      0  0x31454754 ("TGE1")
 *      1  TG_VERSION
 *      2  words of the header
 *      3  cell: 0 RNN (tanh), 1 LSTM, 2 GRU (reset after the recurrent product)
 *      4  layers, 1 to 64
 *      5  directions, 1 or 2
 *      6  rows of the embedding
 *      7  columns of the embedding
 *      8  the embedding is 0 float32, 1 int8 from -127 to 127, or 2 nibbles
 *      9  poolings, 1 to 4
 *     10  to 13: what they are: 0 last, 1 max, 2 mean, 3 attention; 0 where there are fewer
 *     14  dense layers, 1 to 64, the last of which gives the logits
 *     15  the last dense layer is 0 float32 or 1 int8
 *     16  probabilities are 0 a softmax or 1 sigmoids of the logits
 *     17  inverse temperature, a float32 in these four bytes
 *     18  columns of the linear branch, 0 if there is none; 0 in 19 to 21 then
 *     19  its rows for tokens
 *     20  its rows for bigrams
 *     21  its rows are 0 float32 or 1 int8
 *     22  lower and upper bound of what the first layer of an int8 LSTM reads, two float32; else 0
 *     24  units of each recurrent layer
 *     ..  each recurrent layer is 0 float32 or 1 int8
 *     ..  units of each dense layer
 *
 * Then tensors, each beginning at the next multiple of 64 bytes. I is what a layer reads, the
 * directions one after the other; N is gates * units, gates in ONNX's order (LSTM i o f c, GRU
 * z r h).
 *
 *     embedding: float32 or int8 [rows, columns], or uint8 [rows, (columns + 1) / 2]: the first half
 *         of the columns in the low nibbles, the second in the high ones, each with 8 added; and,
 *         for nibbles, float32 [rows], what to multiply rows with
 *     for each recurrent layer and each direction:
 *         input weights [N, I], recurrent weights [N, units], float32 or int8 (from -64 to 64 for an
 *             LSTM, -127 to 127 for others)
 *         for int8, the scales of both, float32 [N] and [N]
 *         input bias and recurrent bias, float32 [N] and [N]
 *     attention, if there is such a pooling: float32 [directions * units]
 *     for each dense layer: weight float32 [units, I], or int8 with scales float32 [units]; bias
 *         float32 [units]
 *     for the linear branch: fingerprints of bigrams uint8 [bigram rows]; token rows [rows,
 *         columns] and their weights uint8 [rows]; bigram rows and their weights; projection
 *         float32 [2 * columns, labels]
 *
 * An int8 LSTM reads its input as uint8, 255 steps from the lower to the upper bound, and its states
 * from -1 to 1: the arithmetic of ONNX Runtime's DynamicQuantizeLSTM with fixed ranges. Int8 layers
 * of other cells read the embedding's whole numbers as they are, and states in steps of 1/127.
 *
 * A state is, one after the other: for each layer h and, for an LSTM, c, float32 [units] each, for
 * an int8 LSTM followed by the anchors of the exported graph (1 and -1; 30 and -30); then for each
 * pooling but `last` in order: max, what is largest so far; mean, the sum and the count; attention,
 * the largest score, the normalizer and the sum; sums and maxima have two anchors too; then for
 * the linear branch: the last id, the sums [2 * columns], and the sum of squared weights.
 */

#ifdef __cplusplus
}
#endif

#endif
