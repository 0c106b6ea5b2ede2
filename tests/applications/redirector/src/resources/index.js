import CheckRedirect from './CheckRedirect.js';
import RedirectRules from './RedirectRules.js';
import './middleware.js';

export const redirect = RedirectRules;
export const checkredirect = CheckRedirect;
