import * as leat from 'leat';
import * as batch from 'leat/batch';
import * as errors from 'leat/errors';
import * as sources from 'leat/sources';

export default { leat, sources, errors, batch };
