/* SPDX-License-Identifier: MIT */
/* Grammars in GBNF. */
#include "grammar/compiled.h"
#include "runtime/grammar/gbnf.h"

static void compiled_gbnf(struct compiled *c, const char *text)
{
    compiled_begin(c, (size_t)64 << 20, 20000000);
    qr_symbol root = qr_gbnf_add(&c->rules, text, strlen(text), &c->status, &c->error);
    uint32_t start = qr_rules_nonterminal(&c->rules);
    if (c->status) return;
    qr_rules_add(&c->rules, start, &root, 1);
    assert_true(qr_rules_end(&c->rules, start));
}

static const char json[] = "root   ::= object\n"
                           "value  ::= object | array | string | number | (\"true\" | \"false\" | "
                           "\"null\") ws\n"
                           "\n"
                           "object ::=\n"
                           "  \"{\" ws (\n"
                           "            string \":\" ws value\n"
                           "    (\",\" ws string \":\" ws value)*\n"
                           "  )? \"}\" ws\n"
                           "array  ::= \"[\" ws ( value (\",\" ws value)* )? \"]\" ws\n"
                           "string ::=\n"
                           "  \"\\\"\" (\n"
                           "    [^\"\\\\\\x7F\\x00-\\x1F] |\n"
                           "    \"\\\\\" ([\"\\\\bfnrt] | \"u\" [0-9a-fA-F]{4}) # escapes\n"
                           "  )* \"\\\"\" ws\n"
                           "number ::= (\"-\"? ([0-9] | [1-9] [0-9]{0,15})) (\".\" [0-9]+)? "
                           "([eE] [-+]? [0-9] [1-9]{0,15})? ws\n"
                           "# at most one blank\n"
                           "ws ::= | \" \" | \"\\n\" [ \\t]{0,20}\n";
static const char arithmetic[] = "root  ::= (expr \"=\" ws term \"\\n\")+\n"
                                 "expr  ::= expr [-+*/] ws term | term\n" /* left recursion */
                                 "term  ::= ident | num | \"(\" ws expr \")\" ws\n"
                                 "ident ::= [a-z] [a-z0-9_]* ws\n"
                                 "num   ::= [0-9]+ ws\n"
                                 "ws    ::= [ \\t]*\n";
static const char chess[] =
    "root    ::= \"1. \" move \" \" move \"\\n\" ([1-9] [0-9]? \". \" move \" \" move \"\\n\")+\n"
    "move    ::= (pawn | nonpawn | castle) [+#]?\n"
    "nonpawn ::= [NBKQR] [a-h]? [1-8]? \"x\"? [a-h] [1-8]\n"
    "pawn    ::= ([a-h] \"x\")? [a-h] [1-8] (\"=\" [NBKQR])?\n"
    "castle  ::= \"O-O\" \"-O\"?\n";
static const char list[] = "root ::= item+\n"
                           "item ::= \"- \" [^\\r\\n\\x0b\\x0c\\x85\\u2028\\u2029]+ \"\\n\"\n";

/* Goal: the texts of a grammar are accepted, and no others. */
static void grammars_match_their_texts(void **state)
{
    (void)state;
    static const struct {
        const char *grammar, *text;
        bool in;
    } cases[] = {
        {json, "{}", true},
        {json, "{\"a\": [1, -2.5e7, {\"b\": null}], \"c\\u00e9\": \"\xc3\xa9\"}", true},
        {json, "{\"a\": }", false},
        {json, "{\"a\": 1,}", false},
        {json, "[1]", false},
        {json, "{\"a\"  : 1}", false},
        {arithmetic, "a + 12 * (b - 3) = x\n1=1\n", true},
        {arithmetic, "a + = x\n", false},
        {arithmetic, "((1))+2=y\n", true},
        {arithmetic, "((1)+2=y\n", false},
        {chess, "1. e4 e5\n2. Nf3 Nc6\n3. O-O exd8=Q+\n", true},
        {chess, "1. e4 e9\n2. Nf3 Nc6\n", false},
        {chess, "1. e4 e5\n", false},
        {list, "- one\n- two \xc3\xa9\n", true},
        {list, "- one\n-two\n", false},
        {list, "- a\xc2\x85\n", false},
        /* alternatives may begin a line, a reference may be in its own tail or head */
        {"root ::= \"a\"\n  | \"b\" root\n", "bba", true},
        {"root ::= root \"b\" | \"a\"\n", "abb", true},
        {"root ::= root \"b\" | \"a\"\n", "b", false},
        {"root ::= \"(\" root \")\" | \"\"\n", "((()))", true},
        {"root ::= \"(\" root \")\" | \"\"\n", "((())", false},
        {"root ::= root root | \"ab\"", "ababab", true},
        {"root ::= (\"a\" root)?", "aaa", true},
        {"root ::= x{2,3} y{,2}\nx ::= \"x\"\ny ::= \"y\"", "xxyy", true},
        {"root ::= x{2,3} y{,2}\nx ::= \"x\"\ny ::= \"y\"", "xyy", false},
        {"root ::= x{2}\nx ::= \"(\" x \")\" | \"-\"", "(-)-", true},
        {"root ::= x{2}\nx ::= \"(\" x \")\" | \"-\"", "-", false},
        {"root ::= .{2,} [^a]",
         "\xe2\x82\xac"
         "bc",
         true},
        {"root ::= .{2,} [^a]", "bca", false},
        {"root ::= \"\\x41\\u00e9\\U0001F600\\t\\\\\\\"\"", "A\xc3\xa9\xf0\x9f\x98\x80\t\\\"",
         true},
        {"root ::= [a\\]\\-z-]+", "]-z", true},
        {"root ::= [a\\]\\-z-]+", "b", false},
        {"root ::= a-b_c2\na-b_c2 ::= \"\" \"x\"", "x", true},
        {"# nothing\nroot ::= # a comment\n \"x\" # another", "x", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct compiled c;
        size_t at;
        compiled_gbnf(&c, cases[i].grammar);
        if (c.status) fail_msg("%s: %s", cases[i].grammar, c.error.text);
        if (compiled_accepts(&c, cases[i].text, &at) != cases[i].in)
            fail_msg("%s\n%s: %s up to byte %zu", cases[i].grammar, cases[i].text,
                     cases[i].in ? "refused" : "accepted", at);
        compiled_end(&c);
    }
}

/* Goal: an error names line, column and what was expected. */
static void errors_name_line_and_column(void **state)
{
    (void)state;
    static const struct {
        const char *grammar, *text;
    } cases[] = {
        {"", "line 1, column 1: no rule is named root, where a grammar begins"},
        {"a ::= \"x\"", "line 1, column 10: no rule is named root, where a grammar begins"},
        {"root ::= \"x\"\n  item", "line 2, column 3: no rule is named item"},
        {"root ::= (\"x\"\na ::= \"y\"", "line 1, column 10: ( without )"},
        {"root ::= (\"x\"", "line 1, column 10: ( without )"},
        {"root ::= \"x\")", "line 1, column 13: ) without ("},
        {"root ::= \"x", "line 1, column 10: a text without its closing \""},
        {"root ::= [a-z", "line 1, column 10: a class without its closing ]"},
        {"root ::= []", "line 1, column 10: an empty class"},
        {"root ::= [z-a]", "line 1, column 11: a range that ends before it begins"},
        {"root ::= \"\xc3\xa9\" *\n | +",
         "line 2, column 4: + repeats nothing; expected it after an element"},
        {"root ::= \"a\"{3,2}", "line 1, column 13: a repetition that ends before it begins"},
        {"root ::= \"a\"{x}",
         "line 1, column 13: a count that is not known; expected {n}, {n,}, {,m} or {n,m}"},
        {"root ::= \"a\"{200000}", "line 1, column 14: more than 100000 repetitions"},
        {"root ::= \"\\xg0\"", "line 1, column 11: an escape without its hexadecimal digits; "
                               "expected \\xHH, \\uHHHH or \\UHHHHHHHH"},
        {"root ::= \"\\ud800\"", "line 1, column 11: U+D800 is not a character"},
        {"root ::= \"\\q\"", "line 1, column 11: an escape that is not known"},
        {"root ::= \"a\"\nroot ::= \"b\"", "line 2, column 1: a second rule root"},
        {"root ::= \"a\" b ::= \"c\"", "line 1, column 14: the rule b begins within a line"},
        {"root: \"a\"", "line 1, column 5: expected ::= after the rule's name root"},
        {"root ::= <think> \"a\"", "line 1, column 10: token elements (<) are not supported"},
        {"root ::= \"a\" = 1",
         "line 1, column 14: expected a text, a class, a rule's name, a group or |"},
        {"\"a\"", "line 1, column 1: expected a rule: name ::= ..."},
        {"root ::= \"\xff\"", "line 1, column 11: a byte that is not UTF-8"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct compiled c;
        compiled_gbnf(&c, cases[i].grammar);
        assert_int_equal(c.status, QUIRE_INVALID);
        assert_string_equal(c.error.text, cases[i].text);
        assert_string_equal(c.error.field, "grammar");
        compiled_end(&c);
    }
}

/* Goal: a grammar that makes a matcher's work large is bounded, and nesting costs no stack.
 * Method: 200,000 open groups; 2,000 rules that each refer to the next one twice. */
static void large_grammars_are_bounded(void **state)
{
    (void)state;
    static char text[1 << 20];
    struct compiled c;
    size_t n = (size_t)sprintf(text, "root ::= "), at;

    memset(text + n, '(', 200000);
    strcpy(text + n + 200000, "\"x\"");
    memset(text + n + 200003, ')', 200000);
    text[n + 400003] = 0;
    compiled_gbnf(&c, text);
    assert_int_equal(c.status, QUIRE_OK);
    assert_true(compiled_accepts(&c, "x", &at));
    compiled_end(&c);

    n = (size_t)sprintf(text, "root ::= r0\n");
    for (unsigned i = 0; i < 2000; i++)
        n += (size_t)sprintf(text + n, "r%u ::= r%u r%u | \"%u\"\n", i, i + 1, i + 1, i);
    sprintf(text + n, "r2000 ::= \"x\"\n");
    compiled_gbnf(&c, text);
    assert_int_equal(c.status, QUIRE_OK);
    assert_true(compiled_accepts(&c, "122", &at));
    compiled_end(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grammars_match_their_texts),
        cmocka_unit_test(errors_name_line_and_column),
        cmocka_unit_test(large_grammars_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
