// URLs as they may be shown: without user name, password, query and fragment.

export const HIDDEN = '***';

export function redactedUrl(url: URL): string {
  const shown = new URL(url.href);
  const hasUserinfo = shown.username !== '' || shown.password !== '';
  shown.username = '';
  shown.password = '';
  shown.hash = '';
  shown.search = url.search === '' ? '' : `?${HIDDEN}`;
  return hasUserinfo ? shown.href.replace('//', `//${HIDDEN}@`) : shown.href;
}

/** A text of ours in which somebody else's URLs may stand, quoted or not. */
export function redactedUrlsIn(text: string): string {
  if (!text.includes('://')) return text;
  return text.replaceAll(/[a-z][a-z0-9+.-]*:\/\/[^\s"'<>]*/gi, redactedText);
}

/** URLs in a text that came from somebody else, broken ones too: of what could be secret rather too much is left out. */
export function redactedText(text: string): string {
  return text
    .replaceAll(/\/\/\S*@/g, `//${HIDDEN}@`)
    .replaceAll(/[^\s/'"]+:(?!\/\/)[^\s'"]*@/g, `${HIDDEN}@`)
    .replaceAll(/\?[^\s,]*/g, `?${HIDDEN}`)
    .replaceAll(/#\S+/g, `#${HIDDEN}`);
}
