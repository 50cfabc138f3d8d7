import { z } from 'zod';

/** An id as this API gives them; some languages print them in capitals. */
export const id = z.uuid().overwrite((text) => text.toLowerCase());
