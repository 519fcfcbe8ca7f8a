# SPDX-License-Identifier: MIT
"""The cases of make_cases.py: EXPRESSIONS has one expression a line, the others are whole templates."""

VARIABLES = {
    "s": "Hello, World",
    "e": "",
    "u": "Zürich 你好 🙂 ß",
    "pad": " \t\n x y \u00a0\u2003",
    "n": 42,
    "z": 0,
    "neg": -7,
    "f": 2.5,
    "t": True,
    "no": False,
    "nul": None,
    "l": [3, 1, 2],
    "names": ["bob", "Alice", "carol", "alice"],
    "nested": [[1, 2], [3], []],
    "d": {"b": 1, "a": {"x": [1, 2.0, None, True, "q'uote"]}, "items": "shadowed"},
    "people": [{"name": "Ann", "age": 30, "tags": ["x"]}, {"name": "Bob", "age": 25, "admin": True},
               {"name": "cid", "age": 35}],
    "html": "<a href=\"x\">'&</a>",
}

EXPRESSIONS = r"""
1
-1
+5
1_000
0x1f
0b101
0o17
1.0
1.5e3
2e-7
1e16
1e15
123456789012345680.0
0.1 + 0.2
1/3
100.0
1e22
1e-5
0.0001
5e-324
1.7976931348623157e308
-0.0
true
True
none
None
'a'
"a\"b"
'it\'s'
'a' 'b' "c"
'\x41\u00e9\U0001F642\t|\101'
'back\\slash \q'
[]
[1, 'a', none, true, 2.5]
[1, 2,]
()
(1,)
(1, 2)
1, 2
{}
{'a': 1, 'b': [1, {'c': none}]}
{1: 'x', 'y': 2}
{'a': 1, 'a': 2}
'quote\'s'|list
['it\'s', "say \"hi\"", "both ' and \""]
['\n\t\r\\ \x00 \x7f é 🙂']
1 + 2
1 - 2
2 * 3
7 / 2
6 / 2
7 // 2
-7 // 2
7 // -2
7.5 // 2
-7.5 // 2
7 % 3
-7 % 3
7 % -3
-7.5 % 2
2 ** 10
2 ** -1
2 ** 3 ** 2
-2 ** 2
2 ** 0.5
1 + 2 * 3
(1 + 2) * 3
1 + 2.0
true + 1
'a' + 'b'
'ab' * 3
3 * 'ab'
'ab' * 0
'ab' * -1
[1] + [2]
[1, 2] * 2
(1, 2) + (3,)
1 ~ 2
'a' ~ 1 ~ none ~ true ~ 1.5
1 ~ 2 + 3
nul ~ nope ~ 'x'
1 == 1.0
1 == true
'1' == 1
[1, 2] == [1, 2]
[1, 2] == (1, 2)
{'a': 1, 'b': 2} == {'b': 2, 'a': 1}
none == none
nope == nope2
nope == none
1 != 2
1 < 2
2 < 1
1 < 2 < 3
1 < 3 < 2
3 > 2 >= 2
'a' < 'b'
'Z' < 'a'
'é' > 'z'
[1, 2] < [1, 3]
[1] < [1, 0]
1 in [1, 2]
3 not in [1, 2]
'ell' in s
'' in s
'x' in d
'b' in d
1.0 in l
'a' in nope
nope in [1]
not true
not 0
not ''
not []
not nope
true and false
1 and 2
0 and 2
1 or 2
0 or ''
nope or 'x'
not true or true
not (true or true)
1 if true
1 if false
1 if false else 2
1 if true else 2 if true else 3
1 if false else 2 if false else 3
'a' if z else 'b'
s
n
f
nul
nope
t
l
d
d.a
d['a']
d.a.x
d['a']['x'][-1]
d.items is callable
d['items']
d.nope
d.nope is defined
d['nope'] is undefined
d.a.x[4]
l[0]
l[-1]
l[9] is defined
l.0
nested[0][1]
s[0]
s[-1]
s[99] is defined
u[7]
u[-1]
s[:5]
s[7:]
s[-5:]
s[:-1]
s[::2]
s[::-1]
s[5:2]
s[2:100]
u[::-1]
u[7:9]
l[1:]
l[:-1]
l[::-1]
l[::2]
l[-2:]
l[5:]
l[10:0:-1]
l[-100:100]
(1, 2, 3)[1:]
l[none:2]
l[1:none:none]
s|upper
s|lower
u|upper
u|lower
'ß'|upper
s|length
u|length
l|count
d|length
nope|length
'hello world-foo (bar'|title
'HELLO wORLD'|capitalize
'éa'|capitalize
pad|trim
'xxaxx'|trim('x')
'abcba'|trim('ab')
5|trim
s|replace('l', 'L')
s|replace('l', 'L', 1)
s|replace('', '-')
s|replace('o', '')
5|replace(5, 6)
s|first
s|last
l|first
l|last
[]|first is defined
[]|last is defined
l|list
'abc'|list
d|list
(1, 2)|list
d|items|list
l|join
l|join(', ')
l|join(1)
people|join(', ', attribute='name')
'abc'|join('-')
nope|join(',')
names|sort
names|sort(case_sensitive=true)
names|sort(reverse=true)
l|sort
people|sort(attribute='age')|map(attribute='name')|list
people|sort(attribute='name')|map(attribute='age')|join(' ')
names|unique|list
names|unique(case_sensitive=true)|list
[1, 1.0, true, 2]|unique|list
l|reverse|list
s|reverse
d|dictsort
{'b': 2, 'A': 3, 'c': 1}|dictsort
{'b': 2, 'A': 3, 'c': 1}|dictsort(true)
{'b': 2, 'A': 3, 'c': 1}|dictsort(false, 'value')
{'b': 2, 'A': 3, 'c': 1}|dictsort(reverse=true)
l|min
l|max
names|min
names|max
people|max(attribute='age')
[]|min is defined
l|sum
people|sum(attribute='age')
[[1], [2]]|sum(start=[])
names|map('upper')|list
names|map('replace', 'a', 'A')|join(',')
people|map(attribute='name')|list
people|map(attribute='admin', default=false)|list
people|map(attribute='tags.0', default='none')|list
[1, 0, 2, none]|select|list
l|select('odd')|list
l|reject('odd')|list
l|select('gt', 1)|list
l|select('>', 1)|list
people|selectattr('admin')|map(attribute='name')|list
people|rejectattr('admin')|map(attribute='name')|list
people|selectattr('age', 'ge', 30)|map(attribute='name')|list
people|selectattr('name', 'equalto', 'Bob')|list
people|selectattr('name', '==', 'Bob')|list|length
people|selectattr('admin', 'defined')|list|length
people|selectattr('name', 'in', ['Ann', 'cid'])|map(attribute='name')|join
(people|selectattr('age', 'gt', 99)) is defined
nope|default('x')
nope|d('x')
nope|default
e|default('x')
e|default('x', true)
nul|default('x')
nul|default('x', boolean=true)
d.nope|default('y')
'42'|int
' 42 '|int
'42.9'|int
'x'|int
'x'|int(-1)
'0x1f'|int(base=16)
'ff'|int(0, 16)
'1_000'|int
3.99|int
-3.99|int
true|int
none|int
'3.5'|float
'x'|float
'x'|float(1.5)
'1e3'|float
'inf'|float
5|float
42.55|round
42.55|round(1)
2.5|round
3.5|round
-2.5|round
1.005|round(2)
42.1|round(0, 'ceil')
42.9|round(method='floor')
42.55|round(1, 'floor')
42|round
42.55|round|int
-5|abs
-5.5|abs
5|string
[1]|string
'a'|string ~ 'b'
"a\nb\n\nc"|indent
"a\nb"|indent(2)
"a\nb"|indent(2, true)
"a\n\nb"|indent(2, blank=true)
"a\nb"|indent('> ')
"a\nb\n"|indent(2)
''|indent
html|e
html|escape
html|e|e
html|safe
html|safe|e
'<'|e + '>'
'<' ~ ('>'|e)
html|forceescape
'a b  c_d é'|wordcount
'%s-%d-%s'|format('a', 3, none)
'%s' % 'x'
'%s and %s' % ('x', 2)
'%.2f%%' % 3.14159
'%r' % 'x'
d|tojson
l|tojson
u|tojson
html|tojson
nul|tojson
t|tojson
f|tojson
1e16|tojson
'a"b\\c\n\t\x01\x7f'|tojson
{'a': [1, {'b': []}], 'c': {}}|tojson(indent=2)
d|tojson(indent=4)
[]|tojson(indent=2)
d|tojson(indent=0)
{'b': 1, 'a': 2}|tojson(sort_keys=true)
u|tojson(ensure_ascii=true)
[1, 2, {'a': 1}]|tojson(separators=(',', ':'))
{1: 2, none: 3, true: 4, 1.5: 5}|tojson
(1, 2)|tojson
d|attr('nope') is defined
s|attr('upper') is callable
s is defined
nope is defined
nope is not defined
nope is undefined
nul is none
s is none
none is not none
s is string
n is string
n is number
f is number
t is number
s is number
n is integer
t is integer
f is integer
f is float
n is float
t is boolean
n is boolean
d is mapping
l is mapping
d is sequence
l is sequence
s is sequence
(1, 2) is sequence
n is sequence
nope is sequence
d is iterable
n is iterable
none is iterable
nope is iterable
range(3) is iterable
t is true
1 is true
no is false
0 is false
3 is odd
4 is odd
4 is even
-3 is odd
9 is divisibleby 3
9 is divisibleby(4)
1 is eq 1
1 is equalto 1
1 is == 1
1 is ne 2
1 is lt 2
1 is gt 2
1 is le 1
1 is ge 2
2 is greaterthan 1
2 is lessthan 1
1 is in [1, 2]
'a' is in 'abc'
1 is not in [1]
'abc' is lower
'ABC' is lower
'ABC' is upper
'123' is upper
range is callable
n is callable
none is sameas none
'upper' is filter
'nofilter' is filter
'odd' is test
s is string and n is number
not s is string
s is string or nope
n is number == true
s.upper()
s.lower()
s.title()
"they're bill's 3d x-ray".title()
s.capitalize()
pad.strip()
pad.lstrip()
pad.rstrip()
'xxaxx'.strip('x')
'xxaxx'.lstrip('x')
'xxaxx'.rstrip('x')
'éaé'.strip('é')
'abc'.strip('')
'a b  c'.split()
' a b '.split()
'a,b,,c'.split(',')
'a,b,,c'.split(',', 1)
'a b c d'.split(maxsplit=2)
'a b c d'.split(none, 1)
'a--b--c'.split('--')
''.split()
''.split(',')
'a,b,c'.rsplit(',', 1)
'a,b,c'.rsplit(',')
"a\nb\r\nc".splitlines()
"a\nb\n".splitlines(true)
'k=v=w'.partition('=')
'k=v=w'.rpartition('=')
'kv'.partition('=')
'kv'.rpartition('=')
s.startswith('Hell')
s.startswith('x')
s.startswith(('x', 'H'))
s.endswith('ld')
s.endswith('')
'prefix-x'.removeprefix('prefix-')
'x.txt'.removesuffix('.txt')
s.replace('l', 'L')
s.replace('l', 'L', 2)
s.replace('', '.')
''.replace('', 'x')
s.find('o')
s.find('o', 5)
s.find('zz')
s.rfind('o')
u.find('好')
s.find('')
s.index('W')
s.count('l')
s.count('')
u.count('ü')
', '.join(names)
''.join(['a', 'b'])
'-'.join('abc')
'12'.isdigit()
'1a'.isdigit()
''.isdigit()
'ab'.isalpha()
'a1'.isalnum()
' \n'.isspace()
'AB'.isupper()
'ab'.islower()
d.get('b')
d.get('zz')
d.get('zz', 5)
d.keys()|list
d.values()|list
{'a': 1}.items()
{'a': 1}.keys()
{'a': 1}.values()
d.keys()|length
{'a': 1}.items()|list
d['b']
people[0].name
people[-1]['age']
l.index(1)
l.count(1)
(1, 2).index(2)
range(5)
range(5)|list
range(2, 8, 3)|list
range(5, 0, -2)|list
range(0)|list
range(1, 4)
range(10)[3]
range(10)[-1]
range(3)|length
range(10)|last
3 in range(5)
dict(a=1, b='x')
dict({'a': 1}, b=2)
dict([('a', 1)])
namespace(a=1).a
namespace({'a': 1}, b=2).b
namespace().x is defined
strftime_now('%Y-%m-%d')
strftime_now('%d %b %Y')
strftime_now('%H:%M:%S %A %B %j %%')
l|map('string')|map('length')|sum
'a.b'.split('.')[0]|upper
(s|upper)[:3]
s|upper|lower|title
-5|abs
- 5|abs + 1
(-5)|string|length
2 + 3|string|length
'x' if s is string and s|length > 3 else 'y'
[l, d.a]|length
{'k': l}['k'][1]
{'k': l}.k[1]
{'get': 5}.get is callable
{'get': 5}['get']
'%d' % 3.7
[none, true, 1.0, 'x']|tojson
l == [3, 1, 2]
l is iterable and l is not string
(l|map('abs')) is iterable
true is boolean and 1 is not boolean
[1, 2, 3][0:2] + [4]
'abc' in ['abc', 'd']
s[0]|lower ~ s[1:]
'{}'.replace('{', '[')
1 if nope is defined else 'fallback'
nope.x if nope is defined else 'safe'
none|tojson ~ 1
[[1, [2, [3]]], {'a': {'b': (1, 2)}}]
1e308 * 10
-1e308 * 10
'\u200b\u00ad\u2028\ufeff\ue000'|list
{'ключ': 'значение'}
'\'"'|list
[''|string, e]
-1 ** 2
not 1 == 2
1 + 1 == 2 and 2 * 2 == 4
'a' < 'b' < 'c'
1 in [1] == true
10 // 3 * 3 + 10 % 3
7 // 0.5
0 ** 0
1 / 4 * 4
"tab\there"
'é' * 2
'aXbX'.replace('X', '')|length
d.a.x[1:3]
d.a['x'][0]
loop is defined
caller is defined
varargs is defined
messages is defined
1 is number and 'x' is string
(1, 2) == (1, 2)
[] or {} or 'last'
'a' and 'b' and ''
'Hello'|lower|capitalize
9223372036854775807
-9223372036854775807 - 1
3.0 == 3
3 == 3.0000001
9007199254740993 == 9007199254740992.0
9007199254740993 < 9007199254740994.0
[3, 1.5, true]|sort
'10' > '9'
[2, 10]|map('string')|sort|list
"""

# What has to fail, one way or the other.
ERRORS = r"""
nope.x
nope['x']
nope()
nope + 1
'a' + 1
1 + 'a'
1 + none
none + none
[] + ()
1 / 0
1 // 0
1 % 0
1.0 / 0
'a' < 1
none < 1
d < d
1 in 5
5 in 'abc'
none.x.y
s.nope()
s.nope.x
n()
'a'.join([1])
''.split('')
s.index('zz')
l.index(99)
l.append(4)
d.update({'a': 1})
d.pop('a')
l.sort()
range(1, 2, 0)
range(100001)
range('a')
range()
[1]|nofilter
1 is notest
raise_exception('my own words')
raise_exception('tab\there')
none|length
5|length
5|list
nope|int
nope|abs
'x'|abs
'x'|round
{[1]: 2}
{{}: 1}
nope|tojson
namespace|tojson
l|map|list
l|selectattr|list
s|replace('a')
s|upper(1)
s|trim(1, 2)
s|default('a', nonsense=1)
strftime_now()
strftime_now(5)
dict(1)
-'a'
-none
'%d' % 'x'
'%s %s' % 'x'
'%s' % ('a', 'b')
[1, 'a']|sort
[1, none]|max
l['a'].x
s[::0]
l['a':]
(l|map('abs'))|length
1 +
(1
[1, 2
{1: 2
{'a' 1}
1 if
1 | 
'unterminated
a b
1 = 2
.x
)
]
1 is
1 is not
1 is odd is even
a[
f(a=1, 2)
1 not 2
@
a ? b
"""

TEMPLATES = [
    # white space
    "a\n{% if true %}\nb\n{% endif %}\nc\n",
    "a\n  {% if true %}  \n  b\n  {% endif %}  \nc\n\n",
    "  {%- if true -%}  \n  b  {%- endif -%}  \n c",
    "x {{- 1 -}} y {{ 2 }} z",
    "  {{ 1 }}\n  {{ 2 }}\n",
    "a\n  {%+ if true %}b{% endif %}\n",
    "{% if true +%}\nb{% endif %}",
    "a {# comment #}\nb",
    "a\n  {# comment #}\nb",
    "a\n  {#- comment -#}\n  b",
    "a {# multi\nline #}\n b",
    "{#+ c #}x",
    "{% raw %}{{ x }} {% if %}{% endraw %}",
    "a\n{%- raw -%}\n {{ x }} \n{%- endraw -%}\n b",
    "  {% raw %}\nx\n  {% endraw %}\ny",
    "a\r\nb\rc\n",
    "\n\n",
    "\n",
    "",
    "x\n",
    "x\n\n",
    "{{ 'a\nb' }}",
    "{{ 'a\r\nb' }}",
    "{{ {'a': {'b': 1}}['a']['b'] }}",
    "{{ {'a': {'b': {}}} }}",
    "{{'}}'}}",
    "{% if '%}' %}x{% endif %}",
    "a {",
    "{ {a} } }} %}",
    "{%if true%}x{%endif%}",
    "{{1}}{{2}}\n{{3}}",
    "\t{% set x = 1 %}\n\t{{ x }}",
    "text {% set x = 1 %}\n{{ x }}",
    "a  \n  {%- set x = 1 %}  b",
    "a\n\n  {% set x = 1 %}\n\nb",
    "{{ 1 }}\n\n{% if true %}\n\nx\n\n{% endif %}\n\n",
    "{% for i in [1, 2] %}\n  {{ i }}\n{% endfor %}\nend",
    "{% for i in [1, 2] -%}\n  {{ i }}\n{%- endfor %}\nend",
    "\u00a0{%- if true %}x{% endif -%}\u2003y",
    "é\n  {% if true %}ü{% endif %}",
    # if
    "{% if z %}a{% elif n %}b{% else %}c{% endif %}",
    "{% if z %}a{% elif e %}b{% elif nope %}c{% else %}d{% endif %}",
    "{% if z %}a{% endif %}",
    "{% if 1 if z else n %}a{% endif %}",
    "{% if n %}{% set q = 1 %}{% endif %}{{ q }}",
    "{% if z %}{% set q = 1 %}{% endif %}{{ q is defined }}",
    "{% if n: %}x{% endif %}",
    "{% if a is not defined %}x{% else %}y{% endif %}",
    # for
    "{% for x in l %}{{ x }}{% endfor %}",
    "{% for x in [] %}{{ x }}{% else %}none{% endfor %}",
    "{% for x in nope %}{{ x }}{% else %}none{% endfor %}",
    "{% for x in 'añc' %}{{ x }}.{% endfor %}",
    "{% for k in d %}{{ k }}.{% endfor %}",
    "{% for k, v in d.a.items() %}{{ k }}={{ v }};{% endfor %}",
    "{% for k, v in {'x': 1, 'y': 2}|items %}{{ k }}={{ v }};{% endfor %}",
    "{% for k, v in d|dictsort %}{{ k }};{% endfor %}",
    "{% for a, b in [(1, 2), [3, 4], 'xy'] %}{{ a }}-{{ b }} {% endfor %}",
    "{% for (a, (b, c)) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}",
    "{% for (a,) in [(1,)] %}{{ a }}{% endfor %}",
    "{% for x in l %}{% continue %}{% else %}no{% endfor %}.",
    "{% for x in l %}{% if x == 2 %}{% break %}{% endif %}{% else %}no{% endfor %}.",
    "{% for a, b in [(1, 2, 3)] %}{% endfor %}",
    "{% for a, b in [1] %}{% endfor %}",
    "{% for x in 5 %}{% endfor %}",
    "{% for x in none %}{% endfor %}",
    "{% for x in l if x > 1 %}{{ x }}{{ loop.index }}{{ loop.length }} {% endfor %}",
    "{% for x in l if x > 9 %}{{ x }}{% else %}no{% endfor %}",
    "{% for x in l if false %}{% else %}{% for y in l %}{{ y }}{% endfor %}{% endfor %}",
    "{% for x in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}"
    "{{ loop.first }}{{ loop.last }}{{ loop.length }} {% endfor %}",
    "{% for x in l %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }} {% endfor %}",
    "{% for x in l %}{{ loop.previtem is defined }}{{ loop.nextitem is defined }} {% endfor %}",
    "{% for x in l %}{{ loop.cycle('a', 'b') }}{% endfor %}",
    "{% for x in [1, 1, 2] %}{{ loop.changed(x) }} {% endfor %}",
    "{% for x in l %}{% for y in l %}{{ loop.depth }}{{ loop.depth0 }}{% endfor %}{{ loop.depth }}{% endfor %}",
    "{% for x in [1, 2] %}{% set o = loop %}{% for y in [3] %}{{ o.index }}{{ loop.index }}{% endfor %}{% endfor %}",
    "{% for x in [1, 2] %}{{ x }}{% endfor %}{{ x is defined }}{{ loop is defined }}",
    "{% set x = 0 %}{% for i in l %}{% set x = x + i %}{{ x }} {% endfor %}{{ x }}",
    "{% for i in [1, 2] %}{{ y is defined }}{% set y = i %}{{ y }}{% endfor %}",
    "{% set x = 5 %}{% for x in [1] %}{{ x }}{% endfor %}{{ x }}",
    "{% for x in l %}{% if x == 1 %}{% break %}{% endif %}{{ x }}{% endfor %}",
    "{% for x in l %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %}",
    "{% for x in l %}{% for y in l %}{% break %}{% endfor %}{{ x }}{% endfor %}",
    "{% for x in [1, 2] %}{% if true %}{% if true %}{{ x }}{% break %}{% endif %}{% endif %}{% endfor %}.",
    "{% for x in l %}{% break %}{% else %}no{% endfor %}.",
    "{% for i in range(3) %}{{ i }}{{ ',' if not loop.last }}{% endfor %}",
    "{% for x in l|map('string') %}{{ loop.length }}{{ loop.last }}{% endfor %}",
    "{% set g = l|map('string') %}{% for x in g %}{{ x }}{% endfor %}{% for x in g %}{{ x }}{% endfor %}",
    "{% if people|selectattr('age', 'gt', 99) %}always{% endif %}",
    "{% for m in people[1:] %}{{ m.name }}{% endfor %}",
    "{% for m in people|reverse %}{{ m.name }}{% endfor %}",
    "{% for m in people if m.admin is defined and m.admin %}{{ m.name }}{% endfor %}",
    "{% for i in range(2) %}{% for j in range(2) if j != i %}{{ i }}{{ j }} {% endfor %}{% endfor %}",
    "{% for x in l %}{{ loop }}{% endfor %}",
    "{% for x in l %}{{ loop.nope is defined }}{{ loop['index'] }}{% endfor %}",
    # set
    "{% set x = 1 %}{{ x }}",
    "{% set x = 1, 2 %}{{ x }}",
    "{% set a, b = 1, 2 %}{{ a }}{{ b }}",
    "{% set (a, b) = [1, 2] %}{{ a }}{{ b }}",
    "{% set x %}a {{ n }} b{% endset %}[{{ x }}]",
    "{% set x | upper %}a {{ s }}{% endset %}[{{ x }}]",
    "{% set x | upper | replace('A', 'b') %}a{% endset %}[{{ x }}]",
    "{% set x %}{% set inner = 1 %}{% endset %}{{ inner is defined }}{{ x|length }}",
    "{% set x %}{% endset %}[{{ x }}]{{ x is string }}",
    "{% set ns = namespace(a=1) %}{% for i in l %}{% set ns.a = ns.a + i %}{% endfor %}{{ ns.a }}",
    "{% set ns = namespace() %}{% set ns.x = [] %}{% for i in l %}{% set ns.x = ns.x + [i] %}{% endfor %}{{ ns.x }}",
    "{% set ns = namespace(t='') %}{% for i in range(5) %}{% set ns.t = ns.t + 'ab' %}{% set k = ns.t + '!' %}{% endfor %}{{ ns.t }}{{ k is defined }}",
    "{% set ns = namespace(a=1) %}{{ ns }}",
    "{% set ns = namespace(a=1) %}{% set ns.b, ns.a = 5, 6 %}{{ ns.a }}{{ ns.b }}{{ ns.c is defined }}",
    "{% set ns = namespace() %}{% set ns.x %}block{% endset %}{{ ns.x }}",
    "{% set d.x = 1 %}",
    "{% set nope.x = 1 %}",
    "{% set 1 = 2 %}",
    "{% set true = 2 %}",
    "{% set s = s + '!' %}{{ s }}",
    "{% set x = x is defined %}{{ x }}",
    "{% set a = 'x' %}{% set b = a + 'y' %}{% set c = a + 'z' %}{{ a }}{{ b }}{{ c }}",
    "{% set a = 'x' + 'y' %}{% set b = a + 'z' %}{% set c = a + 'w' %}{% set e = b + c %}{{ a }} {{ b }} {{ c }} {{ e }}",
    # macros
    "{% macro m() %}x{% endmacro %}{{ m() }}{{ m() }}",
    "{% macro m(a, b=2, c='z') %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ m(1) }} {{ m(1, 3) }} {{ m(1, c=4) }} {{ m(b=1, a=2) }}",
    "{% macro m(a) %}{{ a is defined }}{% endmacro %}{{ m() }}",
    "{% macro m(a, b=a) %}{{ b }}{% endmacro %}{{ m(1) }}",
    "{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}",
    "{% macro m(a) %}{% endmacro %}{{ m(b=2) }}",
    "{% macro m(a) %}{% endmacro %}{{ m(1, a=2) }}",
    "{% macro m(a) %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, 3, x=4) }}",
    "{% macro m() %}{{ s }}{{ later }}{% endmacro %}{% set later = 'L' %}{{ m() }}",
    "{% macro m(n) %}{{ n }}{% if n > 0 %}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(3) }}",
    "{% macro m() %}{% set inner = 1 %}{% endmacro %}{{ m() }}{{ inner is defined }}",
    "{% macro m(x) %}[{{ caller() }}]{{ x }}{% endmacro %}{% call m(1) %}body{{ s }}{% endcall %}",
    "{% macro m() %}{% for i in l %}{{ caller(i) }}{% endfor %}{% endmacro %}{% call(x) m() %}<{{ x }}>{% endcall %}",
    "{% macro m() %}x{% endmacro %}{% call m() %}y{% endcall %}",
    "{% macro m() %}{{ caller is defined }}{% endmacro %}{{ m() }}",
    "{% macro a() %}A{{ b() }}{% endmacro %}{% macro b() %}B{% endmacro %}{{ a() }}",
    "{% macro m(x) %}{{ x|upper }}{% endmacro %}{{ m('a') ~ m('b') }}{{ m('a')|length }}",
    "{% for i in l %}{% macro m() %}{{ i }}{% endmacro %}{{ m() }}{% endfor %}",
    "{% macro m(a, b) %}{{ a }}{{ b }}{% endmacro %}{{ m(*[1, 2]) }}{{ m(**{'a': 3, 'b': 4}) }}{{ m(1, *[2]) }}",
    "{% macro m() %}{{ m }}{% endmacro %}{{ m is callable }}",
    "{% macro m(a=[]) %}{{ a|length }}{% endmacro %}{{ m() }}{{ m([1]) }}",
    "{%- macro m(spec, indent=0) -%}\n  {{- 'x' * indent }}{{ spec }}\n{%- endmacro -%}\n{{ m('a', indent=2) }}\n",
    "{% macro m(a=1, b) %}{% endmacro %}",
    # with, filter, generation
    "{% with a = 1, b = s %}{{ a }}{{ b }}{% endwith %}{{ a is defined }}",
    "{% with %}{% set q = 1 %}{{ q }}{% endwith %}{{ q is defined }}",
    "{% set a = 1 %}{% with a = 2, b = a %}{{ a }}{{ b }}{% endwith %}",
    "{% filter upper %}abc {{ s }}{% endfilter %}",
    "{% filter replace('a', 'b')|upper %}aaa{% endfilter %}",
    "{% generation %}x{{ s }}{% endgeneration %}y",
    "a\n{% generation %}\nb\n{% endgeneration %}\nc",
    "{% generation %}{% set q = 1 %}{% endgeneration %}{{ q is defined }}",
    "{% for x in l %}{% generation %}{{ x }}{{ loop.index }}{% endgeneration %}{% endfor %}",
    # what is not there, or broken
    "{% nope %}",
    "{% endfor %}",
    "{% endif %}",
    "{% else %}",
    "{% if %}{% endif %}",
    "{% if true %}",
    "{% for x in l %}",
    "{% for x l %}{% endfor %}",
    "{% for 1 in l %}{% endfor %}",
    "{% if true %}{% endfor %}",
    "{% if true %}{% for x in l %}{% endif %}{% endfor %}",
    "{% if true %}{% else %}{% elif %}{% endif %}",
    "{% set %}",
    "{% set x %}",
    "{% set x = %}",
    "{% macro %}{% endmacro %}",
    "{% macro m %}{% endmacro %}",
    "{% macro m( %}{% endmacro %}",
    "{% call 5 %}{% endcall %}",
    "{% break %}",
    "{% continue %}",
    "{% for x in l %}{% macro m() %}{% break %}{% endmacro %}{% endfor %}",
    "{{ }}",
    "{{",
    "{{ 1",
    "{% if true",
    "{# never",
    "{% raw %}x",
    "{{ 1 }",
    "{% if true }}x{% endif %}",
    "{{ 1 %}",
    "{{ '\\' }}",
    "{{ s.0 }}{{ people.0.name }}",
    "{{ people.0['name'] }}",
    "line one\nline two {{ nope.x }}",
    "{% do l %}",
    "{% filter nofilter %}x{% endfilter %}",
    "{{ raise_exception('Only user and assistant roles are supported!') }}",
    "{% if n == 42 %}{{ raise_exception('n is ' ~ n) }}{% endif %}",
    # as templates write
    "{% for message in people %}{{'<|' + message['name'] + '|>' + '\n' + message['age']|string + '\n'}}{% endfor %}",
    "{%- set ns = namespace(found=false) -%}{%- for p in people -%}{%- if p.name == 'Bob' -%}{%- set ns.found = true -%}{%- endif -%}{%- endfor -%}{{ ns.found }}",
    "{%- for k in d.a.x -%}{{- k -}}{%- if not loop.last %}, {% endif -%}{%- endfor -%}",
    "{{ '<tool>' ~ (people[0]|tojson) ~ '</tool>' }}",
    "{%- if not tools is defined %}{%- set tools = none %}{%- endif %}{{ tools is none }}",
    "{% if (people[0]['name'] == 'Ann') != (0 % 2 == 0) %}x{% else %}y{% endif %}",
    "{{ people[0].name + ('!' if n > 1 else '?') }}",
    "{% set content = '<think>a</think>b' %}{{ content.split('</think>')[-1].lstrip('\n') }}|{{ content.split('</think>')[0].rstrip('\n').split('<think>')[-1] }}",
    "{%- for p in people %}\n    {%- if loop.first %}\n        {{- 'F' }}\n    {%- endif %}\n    {{- p.name }}\n{%- endfor %}\n",
    "{{ people | map(attribute='name') | map('lower') | join('/') }}",
    "{% set x = {'a': 1} %}{% for k, v in x.items() %}{{ k }}: {{ v|tojson }}{{ '\n' }}{% endfor %}",
    "{{ '%s' | format(s) }}",
    "{% if 'admin' in people[1] and people[1]['admin'] is true %}yes{% endif %}",
    "{% set m = people[-1] %}{{ m is mapping }}{{ m.name is string }}{{ m.tags is not defined }}",
    "{{ {'type': 'object', 'properties': {'a': {'type': 'string'}}} | tojson(indent=4) }}",
]

CASES = (["{{ " + e + " }}" for e in EXPRESSIONS.strip("\n").split("\n")]
         + ["{{ 'line\\\njoined' }}"]
         + ["{{ " + e + " }}" for e in ERRORS.strip("\n").split("\n")]
         + TEMPLATES)
