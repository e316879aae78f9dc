// Heredocs: `<<WORD`, lines, `WORD`, or with `<<'WORD'` raw. They may nest in interpolations, so the words that
// are to come stand on a stack.

#include "tree_sitter/alloc.h"
#include "tree_sitter/parser.h"
#include <string.h>

enum Token { BEGIN, CHUNK, ESCAPE, END, NONE };

#define MAX_DEPTH 8
#define MAX_WORD 64

typedef struct {
    bool is_raw;
    uint8_t length;
    char word[MAX_WORD];
} Heredoc;

typedef struct {
    uint8_t depth;
    Heredoc open[MAX_DEPTH];
} Scanner;

void *tree_sitter_imgspec_external_scanner_create(void) { return ts_calloc(1, sizeof(Scanner)); }

void tree_sitter_imgspec_external_scanner_destroy(void *payload) { ts_free(payload); }

unsigned tree_sitter_imgspec_external_scanner_serialize(void *payload, char *buffer) {
    const Scanner *scanner = payload;
    const unsigned size = scanner->depth * sizeof(Heredoc);
    memcpy(buffer, scanner->open, size);
    return size;
}

void tree_sitter_imgspec_external_scanner_deserialize(void *payload, const char *buffer, unsigned length) {
    Scanner *scanner = payload;
    scanner->depth = length / sizeof(Heredoc);
    if (length > 0) memcpy(scanner->open, buffer, length);
}

static bool is_blank(int32_t c) { return c == ' ' || c == '\t' || c == '\r' || c == 0xFEFF; }

static bool is_tag(int32_t c, bool is_first) {
    return (c >= 'A' && c <= 'Z') || (!is_first && ((c >= '0' && c <= '9') || c == '_'));
}

static bool is_name(int32_t c) { return is_tag(c, false) || (c >= 'a' && c <= 'z'); }

static bool take(TSLexer *lexer, int32_t c) {
    if (lexer->lookahead != c) return false;
    lexer->advance(lexer, false);
    return true;
}

static bool scan_begin(Scanner *scanner, TSLexer *lexer) {
    while (is_blank(lexer->lookahead)) lexer->advance(lexer, true);
    if (!take(lexer, '<') || !take(lexer, '<') || scanner->depth == MAX_DEPTH) return false;
    Heredoc heredoc = {0};
    heredoc.is_raw = take(lexer, '\'');
    while (is_tag(lexer->lookahead, heredoc.length == 0) && heredoc.length < MAX_WORD) {
        heredoc.word[heredoc.length++] = (char)lexer->lookahead;
        lexer->advance(lexer, false);
    }
    if (heredoc.length == 0 || (heredoc.is_raw && !take(lexer, '\''))) return false;
    lexer->mark_end(lexer);
    while (is_blank(lexer->lookahead)) lexer->advance(lexer, false);
    if (lexer->lookahead != '\n') return false;
    scanner->open[scanner->depth++] = heredoc;
    lexer->result_symbol = BEGIN;
    return true;
}

static bool at_word(const Heredoc *heredoc, TSLexer *lexer) {
    while (is_blank(lexer->lookahead)) lexer->advance(lexer, false);
    for (unsigned i = 0; i < heredoc->length; i++) {
        if (!take(lexer, heredoc->word[i])) return false;
    }
    return !is_name(lexer->lookahead);
}

// The text of a heredoc up to an interpolation, an escape or its closing word. The end is searched for after the mark.
static bool scan_text(Scanner *scanner, TSLexer *lexer) {
    const Heredoc *heredoc = &scanner->open[scanner->depth - 1];
    bool has_text = false;
    bool at_line_start = lexer->get_column(lexer) == 0;
    lexer->result_symbol = CHUNK;
    while (!lexer->eof(lexer)) {
        lexer->mark_end(lexer);
        if (at_line_start) {
            if (at_word(heredoc, lexer)) {
                if (has_text) return true;
                lexer->mark_end(lexer);
                lexer->result_symbol = END;
                scanner->depth--;
                return true;
            }
            at_line_start = false;
            has_text = has_text || lexer->get_column(lexer) > 0;
        } else if (!heredoc->is_raw && take(lexer, '\\')) {
            if (take(lexer, '$') && take(lexer, '{')) {
                if (has_text) return true;
                lexer->mark_end(lexer);
                lexer->result_symbol = ESCAPE;
                return true;
            }
            has_text = true;
        } else if (!heredoc->is_raw && take(lexer, '$')) {
            if (lexer->lookahead == '{') return has_text;
            has_text = true;
        } else {
            at_line_start = lexer->lookahead == '\n';
            lexer->advance(lexer, false);
            has_text = true;
        }
    }
    return false;
}

bool tree_sitter_imgspec_external_scanner_scan(void *payload, TSLexer *lexer, const bool *valid) {
    Scanner *scanner = payload;
    // All are valid only where the parser looks for a way out of an error.
    if (valid[NONE]) return false;
    if (valid[CHUNK] && scanner->depth > 0) return scan_text(scanner, lexer);
    return valid[BEGIN] && scan_begin(scanner, lexer);
}
