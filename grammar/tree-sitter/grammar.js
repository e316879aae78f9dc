/**
 * The imgspec language for editors. ../imgspec.pest is the language's grammar; this one has its rules under
 * its names, without what is wrong or reserved: tests/editors.rs compares the trees of both.
 *
 * - Newlines end statements, so the rules contain them: `nl` is where they mean nothing.
 * - Operands and operators alternate in a flat list, as in imgspec.pest.
 * - A heredoc ends with a word that its first line defines, which needs a scanner: src/scanner.c.
 */

const nl = $ => repeat($._newline);

const bracketed = ($, open, close) =>
  seq(open, repeat(choice($._operand, $.infix, ',', $._newline)), close);

module.exports = grammar({
  name: 'imgspec',

  externals: $ => [$.heredoc_begin, $.heredoc_chunk, $.heredoc_escape, $.heredoc_end, $._none],
  extras: $ => [/[ \t\r\uFEFF]/, $.comment],
  word: $ => $.name,

  rules: {
    file: $ => repeat(choice($._item, $._newline)),

    comment: _ => /#[^\n]*/,
    _newline: _ => '\n',

    // ---- items ------------------------------------------------------------------------------

    _item: $ => choice($.include, $.type_decl, $.variable, $.section, $.test, $.waive),

    include: $ => seq('include', $._text, optional(seq('as', $.name))),
    type_decl: $ => seq('type', $.name, '=', $.type_, optional(seq('matching', $._text))),
    variable: $ =>
      seq('variable', $.name, optional(seq(':', $.type_, optional(seq('=', $._value)))), optional($.block)),
    section: $ => seq($.section_kind, $.name, optional($.extends), $.block),
    section_kind: _ => choice('image', 'layer', 'provider', 'rule', 'probe', 'matrix'),
    test: $ => seq('test', $._text, $.for_, $.block),
    waive: $ => seq('waive', $.name, $.for_, $.because, optional($.until)),
    for_: $ => seq('for', $._pattern, repeat(seq(',', nl($), $._pattern))),
    _pattern: $ => choice($.name, $.glob, $._text),
    glob: _ => /[0-9A-Za-z_.*?-]*[*?][0-9A-Za-z_.*?-]*/,
    because: $ => seq('because', $._text),
    until: $ => seq('until', $._text),
    extends: $ => seq('extends', $.name, repeat(seq(',', nl($), $.name))),

    type_: $ =>
      seq(
        choice($.name, seq($._text, repeat(seq('|', $._text))), $.list_type, $.map_type),
        optional($.optional),
      ),
    list_type: $ => seq('[', $.type_, ']'),
    map_type: $ => seq('{', $.type_, '}'),
    optional: _ => '?',

    // ---- blocks -----------------------------------------------------------------------------

    block: $ => seq('{', repeat(choice($._entry, ',', $._newline)), '}'),
    _entry: $ => choice($.set, $.final_, $.unset, $.when, $.axis, $.assert_, $.expect, $.snapshot, $.nested),

    set: $ => seq(choice($._variable, $._text), choice('=', '+=', '-='), $._value),
    final_: $ => seq('final', $.set),
    unset: $ => seq('unset', $.name),
    when: $ => seq('when', $._value, $.block),
    axis: $ => seq('axis', $.name, 'in', $._value),
    assert_: $ => seq('assert', $._value, optional($.because)),
    expect: $ => seq('expect', $.name, optional(seq('at', $.name))),
    snapshot: $ => seq('snapshot', $.name),
    nested: $ => seq($.name, $.block),

    // Keywords are words only where they are expected.
    _variable: $ => choice($.name, alias(choice('final', 'unset', 'when', 'axis', 'assert', 'expect', 'snapshot'), $.name)),

    // ---- values -----------------------------------------------------------------------------

    _value: $ => prec.right(seq($._operand, repeat(seq($.infix, nl($), $._operand)))),
    _operand: $ =>
      choice(
        $._text,
        $.heredoc,
        $.number,
        $.list,
        $.map,
        $.paren,
        $.if_,
        $._reference,
        seq($.not_, $._operand),
      ),
    infix: _ => choice('==', '!=', '<', '<=', '>', '>=', '+', 'and', 'or', 'in', seq('not', 'in')),
    not_: _ => 'not',
    _reference: $ => prec.right(seq($.name, optional($.args))),

    list: $ => bracketed($, '[', ']'),
    args: $ => bracketed($, token.immediate(prec(1, '(')), ')'),
    paren: $ => seq('(', repeat(choice($._operand, $.infix, $._newline)), ')'),
    map: $ => seq('{', repeat(choice($.pair, ',', $._newline)), '}'),
    pair: $ => seq(choice($.name, $._text), '=', $._value),
    if_: $ =>
      prec.right(
        seq('if', nl($), $._value, nl($), 'then', nl($), $._value, nl($), 'else', nl($), $._value),
      ),

    _text: $ => choice($.string, $.interpolated, $.raw),
    string: _ => /"[^"\\$\n]*"/,
    interpolated: $ => seq('"', repeat(choice($.interpolation, $.escape, $.chunk)), token.immediate('"')),
    chunk: _ => token.immediate(prec(1, /[^"\\$\n]+|\$/)),
    escape: _ => token.immediate(/\\(u\{[0-9a-fA-F]*\}|\$\{|[^\n])/),
    interpolation: $ => seq(token.immediate(prec(2, '${')), repeat(choice($._operand, $.infix)), '}'),
    raw: _ => /'[^'\n]*'/,
    heredoc: $ =>
      seq($.heredoc_begin, repeat(choice($.heredoc_chunk, $.heredoc_escape, $.interpolation)), $.heredoc_end),

    number: _ => /-?[0-9][0-9A-Za-z_]*([-.+][0-9A-Za-z_]+)*/,
    name: _ => /[A-Za-z_][0-9A-Za-z_]*([-.][0-9A-Za-z_]+)*/,
  },
});
