import { mount } from 'svelte';
import App from './App.svelte';
import { startLogin } from './lib/login.svelte';
import { startRouter } from './lib/router.svelte';
import { startTheme } from './lib/theme.svelte';
import './styles/tokens.css';
import './styles/base.css';

startTheme();
startRouter();
void startLogin();
mount(App, { target: document.getElementById('app')! });
