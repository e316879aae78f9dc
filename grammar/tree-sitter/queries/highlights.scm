(comment) @comment
((comment) @comment.documentation (#match? @comment.documentation "^##"))

[
  "include" "as" "type" "matching" "variable" "extends" "final" "unset" "when" "axis" "in" "if" "then" "else"
  "test" "waive" "for" "because" "until" "assert" "expect" "at" "snapshot"
] @keyword
(section_kind) @keyword
(not_) @keyword.operator
(infix) @operator
((infix) @keyword.operator (#match? @keyword.operator "^[a-z]"))
["=" "+=" "-=" "|"] @operator
(optional) @operator

["{" "}" "[" "]" "(" ")"] @punctuation.bracket
["," ":"] @punctuation.delimiter
(interpolation "${" @punctuation.special "}" @punctuation.special)

(name) @variable
((name) @constant.builtin (#any-of? @constant.builtin "true" "false"))
(section (name) @type)
(extends (name) @type)
(for_ (name) @type)
(glob) @type
(waive (name) @type)
(snapshot (name) @property)
(expect . (name) @constant.builtin)
(unset (name) @property)
(axis . "axis" . (name) @property)
(set . (name) @property)
(pair . (name) @property)
(nested . (name) @keyword)
(variable . "variable" . (name) @property)
(type_decl . "type" . (name) @type)
(include "as" (name) @type)
(type_ (name) @type)
((name) @function . (args))

[(string) (interpolated) (raw) (chunk) (heredoc_chunk)] @string
[(escape) (heredoc_escape)] @string.escape
[(heredoc_begin) (heredoc_end)] @label
(number) @number
