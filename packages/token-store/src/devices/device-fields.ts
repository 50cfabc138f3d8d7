// What a device is known by, in the one form that is stored and compared. Whatever writes these fields or looks for
// them goes through here: registrations, imports, uploads, sends to users, audiences.

/** A field as it is stored, or why it cannot be. */
export type ParsedField = { readonly value: string } | { readonly refusal: string };

/**
 * Text that tells one user, or one tag, from another: kept character by character, so it must be able to be. U+FFFD
 * stands where a program could not read its input, and would make one of many.
 */
function parseIdentity(text: string): ParsedField {
  if (text.includes('\0')) return { refusal: 'must be text, without the character of code 0' };
  if (!text.isWellFormed()) return { refusal: 'must be text, without half a character (a lone surrogate)' };
  if (text.includes('\ufffd')) {
    return { refusal: 'must be text, without U+FFFD, which stands for characters that could not be read' };
  }
  return { value: text };
}

export const parseUserId = parseIdentity;
export const parseTag = parseIdentity;

/** A BCP 47 language tag in its canonical spelling: `de_DE`, as iOS writes it, is `de-DE`. */
export function parseLocale(text: string): ParsedField {
  try {
    const [value] = Intl.getCanonicalLocales(text.replaceAll('_', '-'));
    if (value !== undefined) return { value };
  } catch {
    // Told below.
  }
  return { refusal: 'must be a locale, such as de-DE' };
}

/** An IANA time zone by its current name (`europe/berlin` is `Europe/Berlin`), or an offset such as `+01:00`. */
export function parseTimeZone(text: string): ParsedField {
  const known = zones.get(text);
  if (known !== undefined) return { value: known };
  const refusal = 'must be a time zone, such as Europe/Berlin';
  if (abbreviations.has(text.toUpperCase()))
    return { refusal: `${refusal}; an abbreviation is that of several` };
  try {
    const { timeZone } = new Intl.DateTimeFormat('en', { timeZone: text }).resolvedOptions();
    const value = currentNames.get(timeZone) ?? timeZone;
    if (zones.size < maxKnownZones) zones.set(text, value);
    return { value };
  } catch {
    return { refusal };
  }
}

/** Taken by the run-time, and by no other: BST would be Bangladesh, IST India, CST Chicago and not China. */
const abbreviations: ReadonlySet<string> = new Set(
  'ACT AET AGT ART AST BET BST CAT CNT CST CTT EAT ECT IET IST JST MIT NET NST PLT PNT PRT PST SST VST'.split(
    ' ',
  ),
);

/** To ask the run-time takes a tenth of a millisecond, and imports ask a million times. */
const zones = new Map<string, string>();
const maxKnownZones = 2_000;

/** The run-time names zones as CLDR does, which keeps the names that it had first. */
const currentNames: ReadonlyMap<string, string> = new Map([
  ['Africa/Asmera', 'Africa/Asmara'],
  ['America/Buenos_Aires', 'America/Argentina/Buenos_Aires'],
  ['America/Catamarca', 'America/Argentina/Catamarca'],
  ['America/Coral_Harbour', 'America/Atikokan'],
  ['America/Cordoba', 'America/Argentina/Cordoba'],
  ['America/Godthab', 'America/Nuuk'],
  ['America/Indianapolis', 'America/Indiana/Indianapolis'],
  ['America/Jujuy', 'America/Argentina/Jujuy'],
  ['America/Louisville', 'America/Kentucky/Louisville'],
  ['America/Mendoza', 'America/Argentina/Mendoza'],
  ['Asia/Calcutta', 'Asia/Kolkata'],
  ['Asia/Katmandu', 'Asia/Kathmandu'],
  ['Asia/Rangoon', 'Asia/Yangon'],
  ['Asia/Saigon', 'Asia/Ho_Chi_Minh'],
  ['Atlantic/Faeroe', 'Atlantic/Faroe'],
  ['Europe/Kiev', 'Europe/Kyiv'],
  ['Pacific/Enderbury', 'Pacific/Kanton'],
  ['Pacific/Ponape', 'Pacific/Pohnpei'],
  ['Pacific/Truk', 'Pacific/Chuuk'],
]);

/** When devices were registered at the earliest: APNs began in 2008. Epoch milliseconds. */
const firstRegistrationMs = Date.UTC(2008, 0, 1);

/** How far clocks may be apart, milliseconds. As for the times of feedback tuples. */
const clockToleranceMs = 5 * 60_000;

/** Why a time cannot be that of a registration; undefined: it can. One ahead would outlive any evidence. */
export function registrationTimeRefusal(ms: number, nowMs: number): string | undefined {
  if (ms < firstRegistrationMs) return 'must not be before 2008, when there were no device tokens';
  if (ms > nowMs + clockToleranceMs) return 'must not be in the future';
  return undefined;
}
