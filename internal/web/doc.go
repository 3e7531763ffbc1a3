// Package web is the frame of Troth's own pages and documents: routes, forms, errors, templates, assets.
package web
