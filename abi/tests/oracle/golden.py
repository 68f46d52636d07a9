"""Writes golden.txt: what the specification's own executable definitions do.

    cp <component-model>/design/mvp/canonical-abi/definitions.py . && python3 golden.py > golden.txt

With `--ask` it reads numbers, one a line, and answers each with some lines that the number decides and a `.`: for the
fuzz target `reference`.

A line is fields separated by `;`. Memories are hex, core values decimal, reallocs `old,old size,align,new size>result`.
- `t;TYPE;CORE TYPES;SIZE;ALIGN`
- `v;TYPE;FROM;TO;CORE IN;MEMORY IN;CORE OUT;MEMORY OUT;REALLOCS`: lifted from a side of one encoding, lowered into one
  of another; `trap` for the rest where lifting traps. Strings are lowered as if they came from UTF-8.
- `s;FROM;TO;TAGGED LENGTH;BYTES;CORE OUT;MEMORY OUT;REALLOCS`: the same for one string, which keeps its encoding.
"""
import random
import struct
import sys
import definitions
from definitions import *

definitions.DETERMINISTIC_PROFILE = True
random.seed(20260801)
ENCODINGS = ['utf8', 'utf16', 'latin1+utf16']
STRINGS = ['', 'a', 'hello', '\x00', '\x80b', 'ab\xefc', '\u01ffy', 'xy\u01ff', 'caf\xe9 \u20ac', '\U0001f980 x', '\xff\xfe', '\ud7ff\ue000']
SCALARS = [BoolType, S8Type, U8Type, S16Type, U16Type, S32Type, U32Type, S64Type, U64Type, F32Type, F64Type, CharType, StringType]
NAMES = {BoolType: 'bool', S8Type: 's8', U8Type: 'u8', S16Type: 's16', U16Type: 'u16', S32Type: 's32', U32Type: 'u32', S64Type: 's64',
         U64Type: 'u64', F32Type: 'f32', F64Type: 'f64', CharType: 'char', StringType: 'string'}


class Heap:
  """A bump allocator that notes what it is asked for, and keeps the pointer when it shrinks."""
  def __init__(self, size):
    self.memory = bytearray(size)
    self.end = 8
    self.log = []

  def realloc(self, args):
    old, old_size, align, new_size = args
    if old != 0 and new_size <= old_size:
      ptr = old
    else:
      ptr = align_to(self.end, align)
      self.end = ptr + new_size
      assert self.end <= len(self.memory)
      self.memory[ptr:ptr + old_size] = self.memory[old:old + old_size]
    self.log.append(f'{old},{old_size},{align},{new_size}>{ptr}')
    return [ptr]


def side(heap, encoding):
  opts = CanonicalOptions()
  opts.memory = MemInst(heap.memory, 'i32')
  opts.string_encoding = encoding
  opts.realloc = heap.realloc
  opts.post_return = None
  opts.async_ = False
  opts.callback = None
  return LiftLowerContext(opts, ComponentInstance(Store()))


def ty(depth):
  if depth == 0 or random.random() < 0.3:
    return random.choice(SCALARS)()
  t = lambda: ty(depth - 1)
  o = lambda: random.choice([None, t()])
  labels = lambda n: [f'l{i}' for i in range(n)]
  match random.randrange(10):
    case 0: return ListType(t())
    case 1: return ListType(t(), random.randint(1, 4))
    case 2: return MapType(random.choice([BoolType, U8Type, S64Type, CharType, StringType])(), t())
    case 3: return RecordType([FieldType(l, t()) for l in labels(random.randint(1, 4))])
    case 4: return TupleType([t() for _ in range(random.randint(1, 4))])
    case 5: return VariantType([CaseType(l, o()) for l in labels(random.randint(1, 4))])
    case 6: return EnumType(labels(random.choice([1, 2, 7, 256, 257])))
    case 7: return OptionType(t())
    case 8: return ResultType(o(), o())
    case 9: return FlagsType(labels(random.choice([1, 8, 9, 16, 17, 31, 32])))


def spell(t):
  if type(t) in NAMES: return NAMES[type(t)]
  payload = lambda u: f'({spell(u)})' if u else ''
  match t:
    case ListType(u, None): return f'list<{spell(u)}>'
    case ListType(u, n): return f'list<{spell(u)}, {n}>'
    case MapType(k, v): return f'map<{spell(k)}, {spell(v)}>'
    case RecordType(fields): return 'record { ' + ', '.join(f'{f.label}: {spell(f.t)}' for f in fields) + ' }'
    case TupleType(ts): return 'tuple<' + ', '.join(map(spell, ts)) + '>'
    case VariantType(cases): return 'variant { ' + ', '.join(c.label + payload(c.t) for c in cases) + ' }'
    case EnumType(labels): return f'enum {{ {len(labels)} }}'
    case FlagsType(labels): return f'flags {{ {len(labels)} }}'
    case OptionType(u): return f'option<{spell(u)}>'
    case ResultType(None, None): return 'result'
    case ResultType(ok, None): return f'result<{spell(ok)}>'
    case ResultType(None, err): return f'result<_, {spell(err)}>'
    case ResultType(ok, err): return f'result<{spell(ok)}, {spell(err)}>'


def value(t):
  t = despecialize(t)
  bits = lambda n, signed: random.choice([0, 1, random.getrandbits(n), (1 << n) - 1]) - (1 << (n - 1) if signed else 0)
  match t:
    case BoolType(): return random.random() < 0.5
    case S8Type(): return bits(8, True)
    case U8Type(): return bits(8, False)
    case S16Type(): return bits(16, True)
    case U16Type(): return bits(16, False)
    case S32Type(): return bits(32, True)
    case U32Type(): return bits(32, False)
    case S64Type(): return bits(64, True)
    case U64Type(): return bits(64, False)
    case F32Type(): return random.choice([0.0, -0.0, 1.5, math.inf, -math.inf, math.nan, core_f32_reinterpret_i32(1)])
    case F64Type(): return random.choice([0.0, -0.0, 3.141, math.inf, -math.inf, math.nan, 5e-324])
    case CharType(): return random.choice(['a', '\x00', '\u20ac', '\U0010ffff', '\ud7ff'])
    case StringType(): s = random.choice(STRINGS); return (s, 'utf8', len(s.encode('utf-8')))
    case ListType(u, n): return [value(u) for _ in range(random.randrange(4) if n is None else n)]
    case RecordType(fields): return {f.label: value(f.t) for f in fields}
    case VariantType(cases): c = random.choice(cases); return {c.label: None if c.t is None else value(c.t)}
    case FlagsType(labels): return {l: random.random() < 0.5 for l in labels}


def as_utf8(v):
  if isinstance(v, tuple): return (v[0], 'utf8', len(v[0].encode('utf-8')))
  if isinstance(v, list): return [as_utf8(e) for e in v]
  if isinstance(v, dict): return {k: as_utf8(e) for k, e in v.items()}
  return v


def bits(core, types):
  def one(v, t):
    if t == 'f32': return struct.unpack('<I', struct.pack('<f', v))[0]
    if t == 'f64': return struct.unpack('<Q', struct.pack('<d', v))[0]
    return v
  return [one(v, t) for v, t in zip(core, types, strict=True)]


def unbits(core, types):
  def one(v, t):
    if t == 'f32': return core_f32_reinterpret_i32(v)
    if t == 'f64': return core_f64_reinterpret_i64(v)
    return v
  return [one(v, t) for v, t in zip(core, types, strict=True)]


def mutate(core, types, heap):
  """Bits that the type has no use for, bad discriminants, bad pointers, bad text."""
  core = list(core)
  if random.random() < 0.5:
    i = random.randrange(len(core))
    width = 64 if types[i] in ('i64', 'f64') else 32
    core[i] ^= 1 << random.randrange(width)
  for _ in range(random.choice([0, 0, 1, 2]) if heap.end > 8 else 0):
    heap.memory[random.randrange(8, heap.end)] ^= 1 << random.randrange(8)
  return core


def join(values):
  return ' '.join(map(str, values))


def outcome(heap, core, types):
  print(f';{join(bits(core, types))};{heap.memory[:heap.end].hex()};{join(heap.log)}')


def types_and_values(count):
  for i in range(count):
    t = ty(random.choice([0, 1, 2, 2, 3]))
    opts = side(Heap(0), 'utf8').opts
    types = flatten_type(t, opts)
    if len(types) > 40 or elem_size(t, 'i32') > 400: continue
    print(f't;{spell(t)};{join(types)};{elem_size(t, "i32")};{alignment(t, "i32")}')
    source, src, dst = Heap(4096), random.choice(ENCODINGS), random.choice(ENCODINGS)
    core = bits(lower_flat(side(source, src), value(t), t), types)
    if i % 2: core = mutate(core, types, source)
    if source.end > 400: continue
    print(f'v;{spell(t)};{src};{dst};{join(core)};{source.memory[:source.end].hex()}', end='')
    del source.memory[source.end:]
    try:
      v = as_utf8(lift_flat(side(source, src), CoreValueIter(unbits(core, types)), t))
    except Trap:
      print(';trap')
      continue
    target = Heap(8192)
    outcome(target, lower_flat(side(target, dst), v, t), types)


def strings():
  for s in STRINGS:
    for src in ENCODINGS:
      for dst in ENCODINGS:
        forms = {'utf8': [('utf-8', 1, 0)], 'utf16': [('utf-16-le', 2, 0)],
                 'latin1+utf16': [('utf-16-le', 2, 1 << 31), ('latin-1', 1, 0)]}[src]
        for codec, unit, tag in forms:
          try: encoded = s.encode(codec)
          except UnicodeEncodeError: continue
          tagged = len(encoded) // unit | tag
          target = Heap(8192)
          print(f's;{src};{dst};{tagged};{encoded.hex()}', end='')
          outcome(target, lower_flat(side(target, dst), (s, src, tagged), StringType()), ['i32', 'i32'])


def main():
  if sys.argv[1:] == ['--ask']:
    for line in sys.stdin:
      random.seed(int(line))
      types_and_values(32)
      print('.', flush=True)
    return
  print('# Made by golden.py from the specification\'s definitions.py. Do not edit.')
  types_and_values(700)
  strings()


main()
