// What is stored may hold what a terminal takes for commands (escape sequences), or what shows text in another order than
// it has (bidirectional controls): a reason, a name, a gateway's words. People see the characters' numbers instead.

/** Controls but for line feed and tab; line and paragraph separators; what changes the direction of text or hides. */
const hiddenCharacters =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]/g;

/** A text of our own layout that holds what others have written. */
export function visibleText(text: string): string {
  return text.replace(hiddenCharacters, escaped);
}

/** A text of others, which must not begin a line of its own. */
export function visibleLine(text: string): string {
  return visibleText(text).replace(/[\n\t]/g, escaped);
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
